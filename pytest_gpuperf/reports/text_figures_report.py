"""What several tools would say of the same streams, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_gpuperf.records.latency import Latency
from pytest_gpuperf.records.text_figures import CONVENTIONS, TextFigures, figures
from pytest_gpuperf.records.text_load import TextLoad
from pytest_gpuperf.records.units import format_percent, format_rate, format_seconds, many, significant
from pytest_gpuperf.reports.document import DocumentPart, Heading, Sentences, Table
from pytest_gpuperf.reports.figures import NONE

_PERCENTILES = ("mean", "p50", "p90", "p99")
_ROWS = ("ttft", "tpot", "itl", "e2e")


def figures_document(
    case: str, load: TextLoad, conventions: Sequence[str], slo: Mapping[str, float]
) -> list[DocumentPart]:
    """One load: a column for each tool, what its figures mean, and how many answers met the limits."""
    found = {name: figures(load.streams, name) for name in conventions}
    rows = [
        (f"{row.upper()} {which}", *(_shown(getattr(found[name], row), which) for name in conventions))
        for row in _ROWS
        for which in _PERCENTILES
        if any(_known(getattr(found[name], row), which) for name in conventions)
    ]
    rows.append(("generated tokens/s", *(_rate(found[name], load) for name in conventions)))
    if slo:
        goodputs = [load.goodput_by(slo, name) for name in conventions]
        rows.append(("goodput, requests/s", *(format_rate(g) if g else "0 /s" for g in goodputs)))
    return [
        Heading(case),
        Table(("figure", *conventions), "l" + "r" * len(conventions), tuple(rows)),
        Sentences(tuple(_sentences(load, conventions, slo))),
    ]


def _known(latency: Latency | None, which: str) -> bool:
    return latency is not None and getattr(latency, which) is not None


def _shown(latency: Latency | None, which: str) -> str:
    value = None if latency is None else getattr(latency, which)
    return NONE if value is None else format_seconds(value)


def _rate(found: TextFigures, load: TextLoad) -> str:
    """Of all answers that count, also where not every stream was kept."""
    if found.generated_tokens is None:
        return NONE
    return significant(found.generated_tokens / found.answers * load.requests_per_second)


def _sentences(load: TextLoad, conventions: Sequence[str], slo: Mapping[str, float]) -> Iterator[str]:
    kept = many(len(load.streams), "answer")
    whole = f"; the figures are of the first {kept} of {load.requests}" if load.streams_left_out else ""
    rate = load.requests_per_second
    answers = many(load.requests, "answer")
    yield f"{load.server}, {load.model}: {answers} in {load.seconds:.1f} s, {format_rate(rate)}{whole}"
    if slo:
        limits = ", ".join(f"{name} {format_seconds(limit)}" for name, limit in slo.items())
        share = load.goodput_by(slo) / rate
        met = format_percent(share)
        yield f"goodput: requests that met all limits ({limits}), a second; by gpuperf's figures {met} did"
    for name in conventions:
        for definition in CONVENTIONS[name].definitions:
            yield f"{name}: {definition}"
    if load.generated_tokens is None:
        yield "generated tokens are not known: the server does not count them, or its count cannot be true"
