"""Remarks on one load, a sentence each: doubts first, then what it showed."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_gpuperf.records.latency import PERCENTILE_NEEDS
from pytest_gpuperf.records.served_load import BUSY, LATE, NETWORK, Load
from pytest_gpuperf.records.units import format_rate, format_seconds, significant

BATCHED = 1.05  # times the request's own batch


def remarks(load: Load) -> list[str]:
    """Why a figure may not be what it seems."""
    return [*doubts(load), *_limits(load), *_batching(load)]


def doubts(load: Load) -> Iterator[str]:
    """Why these may not be figures of the server."""
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
    if load.network_bound:
        share, trip = load.network_share, load.round_trip
        assert share is not None
        assert trip is not None
        yield (
            f"network: the round trip to the server ({format_seconds(trip.median)}, measured on {trip.asked}) is "
            f"{share:.0%} of the median latency. Beyond {NETWORK:.0%} this measures the network and not the model: "
            f"load the server from its own machine"
        )
    if load.errors:
        counts = ", ".join(f"{kind} {count}" for kind, count in load.errors.items())
        yield f"errors: {counts}; rate and latency are of the {load.requests} good answers alone"


def _overload(load: Load) -> str:
    assert load.growth is not None
    assert load.offered is not None
    return (
        f"overloaded: {format_rate(load.offered)} were due and {format_rate(load.requests_per_second)} answered, "
        f"so the latency from the schedule grows by {format_seconds(load.growth)} every second, without end; its "
        f"percentiles depend on how long it was measured. The latency from sending does not grow, since at most "
        f"{load.concurrency} are in flight"
    )


def _limits(load: Load) -> Iterator[str]:
    if load.latency.p99 is None:
        needed, enough = PERCENTILE_NEEDS[99], -(-PERCENTILE_NEEDS[99] // load.counted)
        yield f"no p99: it needs {needed} answers and has {load.latency.count} (requests={enough} would do)"


def _batching(load: Load) -> Iterator[str]:
    if load.mean_batch is None or load.concurrency == 1:
        return
    if load.mean_batch > BATCHED * load.batch:
        yield f"dynamic batching works: {significant(load.mean_batch)} items ran together, {load.batch} a request"
    else:
        yield f"no dynamic batching seen: {significant(load.mean_batch)} items ran together, {load.batch} a request"
