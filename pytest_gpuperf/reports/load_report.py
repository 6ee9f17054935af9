"""Remarks on one load, a sentence each: doubts first, then what it showed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_gpuperf.records.latency import PERCENTILE_NEEDS, Latency
from pytest_gpuperf.records.served_load import BUSY, LATE, NETWORK, AnyLoad, Load
from pytest_gpuperf.records.text_load import TextLoad
from pytest_gpuperf.records.units import format_rate, format_seconds, significant

BATCHED = 1.05  # times the request's own batch
BUNDLED = 0.1  # share of pieces of text
CACHED = 0.1  # share of the prompts' tokens that a chat's template may have in common


def remarks(load: Load) -> list[str]:
    """Why a figure may not be what it seems."""
    return [*doubts(load), *_limits(load, load.latency), *_batching(load)]


def text_remarks(load: TextLoad) -> list[str]:
    """Why a figure of a language model's server may not be what it seems."""
    return [*text_doubts(load), *_of_streams(load), *_limits(load, load.end_to_end)]


def text_doubts(load: TextLoad) -> Iterator[str]:
    """Why these may not be figures of the server, or not of the work that was asked for."""
    yield from _of_pace(load)
    yield from _of_errors(load)
    yield from load.notes
    yield from load.dropped
    yield from _of_cache(load)


def one_of_each(found: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Of the doubts of many loads, each with where it arose, the first of each kind, and how many more there are."""
    by_kind: dict[str, list[str]] = {}
    for where, doubt in found:
        by_kind.setdefault(doubt.partition(":")[0], []).append(f"{where}: {doubt}")
    for kind, sentences in by_kind.items():
        more = f" (and {len(sentences) - 1} more {kind})" if len(sentences) > 1 else ""
        yield f"{sentences[0]}{more}"


def doubts(load: Load) -> Iterator[str]:
    """Why these may not be figures of the server."""
    yield from _of_pace(load)
    if load.network_bound:
        share, trip = load.network_share, load.round_trip
        assert share is not None
        assert trip is not None
        yield (
            f"network: the round trip to the server ({format_seconds(trip.median)}, measured on {trip.asked}) is "
            f"{share:.0%} of the median latency. Beyond {NETWORK:.0%} this measures the network and not the model: "
            f"load the server from its own machine"
        )
    yield from _of_errors(load)


def _of_pace(load: AnyLoad) -> Iterator[str]:
    if load.overloaded:
        yield _overload(load)
    elif not load.stable:
        rates = ", ".join(significant(w.rate) for w in load.windows)
        yield (
            f"inconclusive: no three windows in a row agreed within 10% in rate and latency (requests/s: {rates}). "
            f"Make windows longer (more requests), or keep other work off the machine"
        )
    if load.client_limited:
        what = f"{load.client.busy:.0%} of its time busy" if load.client.busy > BUSY else f"{load.client.late:.0%} late"
        yield (
            f"client-limited: the load generator could not keep up ({what}; limits {BUSY:.0%} and {LATE:.0%}), so "
            f"these may be figures of the client. Give it more processes, or a machine of its own"
        )


def _of_errors(load: AnyLoad) -> Iterator[str]:
    if load.errors:
        counts = ", ".join(f"{kind} {count}" for kind, count in load.errors.items())
        yield f"errors: {counts}; rate and latency are of the {load.requests} good answers alone"


def _of_cache(load: TextLoad) -> Iterator[str]:
    cached = load.cached_share
    if load.repeated:
        known = "how much, it does not say" if cached is None else f"{cached:.0%} of their tokens, it says"
        yield (
            f"prompts repeat: {load.repeated:.0%} of the requests sent one that had been sent before, so the server's "
            f"cache of prefixes may answer for the model ({known})"
        )
    elif cached is not None and cached > CACHED:
        yield f"cached: {cached:.0%} of the prompts' tokens came from the server's cache of prefixes"
    if load.bundled > BUNDLED:
        yield (
            f"bundled: {load.bundled:.0%} of the pieces of text came together with the one before, so pauses between "
            f"tokens are those of whoever bundles: the server, a proxy, or a machine too busy to let this client run"
        )


def _of_streams(load: TextLoad) -> Iterator[str]:
    if load.streams_left_out:
        yield f"{load.streams_left_out} of {load.requests} streams are not kept: figures of other tools are of the rest"


def _overload(load: AnyLoad) -> str:
    assert load.growth is not None
    assert load.offered is not None
    return (
        f"overloaded: {format_rate(load.offered)} were due and {format_rate(load.requests_per_second)} answered, "
        f"so the latency from the schedule grows by {format_seconds(load.growth)} every second, without end; its "
        f"percentiles depend on how long it was measured. The latency from sending does not grow, since at most "
        f"{load.concurrency} are in flight"
    )


def _limits(load: AnyLoad, latency: Latency) -> Iterator[str]:
    if latency.p99 is None:
        needed, enough = PERCENTILE_NEEDS[99], -(-PERCENTILE_NEEDS[99] // load.counted)
        yield f"no p99: it needs {needed} answers and has {latency.count} (requests={enough} would do)"


def _batching(load: Load) -> Iterator[str]:
    if load.mean_batch is None or load.concurrency == 1:
        return
    if load.mean_batch > BATCHED * load.batch:
        yield f"dynamic batching works: {significant(load.mean_batch)} items ran together, {load.batch} a request"
    else:
        yield f"no dynamic batching seen: {significant(load.mean_batch)} items ran together, {load.batch} a request"
