"""What a language model showed, beside what is judged of it: the same words whether it ran here or was served."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_gpuperf.records.generation import Generation
from pytest_gpuperf.records.latency import Latency
from pytest_gpuperf.records.model import Measurement
from pytest_gpuperf.records.text_load import TextLoad
from pytest_gpuperf.records.units import format_percent, format_seconds, many, significant


def written(m: Measurement) -> Generation | TextLoad | None:
    """What a language model wrote in a measurement, here or behind a server."""
    return m.generation or m.text_load


def text_facts(m: Measurement) -> Iterator[tuple[str, str]]:
    """A fact a line, as a name and what it is."""
    found = written(m)
    if found is None:
        return
    rate, total = found.tokens_per_second, found.total_tokens_per_second
    if rate is not None and found.generated_tokens is not None:
        yield "generated", f"{many(found.generated_tokens, 'token')}, {significant(rate)} /s"
    if total is not None:
        yield "with prompt tokens", f"{significant(total)} /s: no rate of generation"
    for name, latency in (
        ("to the first token", found.ttft),
        ("each token after it", found.tpot),
        ("between tokens", found.itl),
        ("whole answer", found.end_to_end),
    ):
        if latency is not None:
            yield name, _shown(latency)
    if m.text_load is not None:
        yield from _served(m.text_load)


def _shown(latency: Latency) -> str:
    parts = [f"{p} {format_seconds(v)}" for p in ("p50", "p90", "p99") if (v := getattr(latency, p)) is not None]
    return ", ".join([f"mean {format_seconds(latency.mean)}", *parts])


def _served(load: TextLoad) -> Iterator[tuple[str, str]]:
    at_once = many(load.concurrency, "answer")
    pace = f"{load.offered:g} requests a second" if load.offered is not None else f"{at_once} at once"
    yield "server", f"{load.server}, {load.model}, {load.api}; {pace}"
    if load.from_schedule is not None:
        yield "to the first token, from when it was due", _shown(load.from_schedule.ttft)
    if load.cached_share is not None:
        yield "prompts from the server's cache", format_percent(load.cached_share)
    if load.bundled:
        yield "texts that came together", format_percent(load.bundled)
