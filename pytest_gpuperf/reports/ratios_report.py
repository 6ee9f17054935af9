"""Ratios within one file as a table and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence

from pytest_gpuperf.comparison.ratios import Ratio, RatioGroup, Ratios
from pytest_gpuperf.records.units import format_bytes, format_change, format_rate, format_seconds, significant
from pytest_gpuperf.reports.csv_report import cell
from pytest_gpuperf.reports.figures import NONE
from pytest_gpuperf.reports.tables import prose, table

LEGEND = (
    "latency: the time of a call by the clock of its case ({clocks}), median over its samples and sessions. "
    "speed-up: times as many items per second. {none}: not measured, or not by the same clock."
)
DIGITS = 6
NAMED = 3  # cases named where many are meant


def render_ratios(found: Ratios, width: int) -> str:
    """One row a level, under the parameters that its group has in common."""
    shown = [g for g in found.groups if len(g.ratios) > 1]
    several = len({g.function for g in shown}) > 1
    groups = {_title(g, several=several): [_row(r) for r in g.ratios] for g in shown}
    header = (found.over, "latency", "change", "throughput", "speed-up", "memory", "change")
    lines = [line for sentence in _remarks(found) for line in prose(sentence, width, hanging="  ")]
    return "\n".join([*(table(header, "lrrrrrr", groups, width) if shown else ()), *([""] if shown else ()), *lines])


def _remarks(found: Ratios) -> Iterator[str]:
    clocks = sorted({r.figures.clock for g in found.groups for r in g.ratios})
    yield LEGEND.format(clocks=", ".join(clocks), none=NONE)
    lonely = [g.ratios[0].figures.case for g in found.groups if len(g.ratios) == 1]
    yield from _lacking(lonely, f"no other {found.over} to compare with")
    yield from _lacking(found.without, f"no parameter {found.over}")
    without = [g for g in found.groups if len(g.ratios) > 1 and g.ratios[0].level != found.reference]
    cases = [r.figures.case for g in without for r in g.ratios]
    yield from _lacking(cases, f"no {found.over} {found.reference} to compare with")
    yield from _lacking(found.alike, "the same parameters as another (an object has no text to keep)")
    if found.source:
        yield f"source: {found.source}"


def _lacking(cases: Sequence[str], what: str) -> Iterator[str]:
    if cases:
        many = "1 case has" if len(cases) == 1 else f"{len(cases)} cases have"
        more = f" and {len(cases) - NAMED} more" if len(cases) > NAMED else ""
        yield f"{many} {what}: {', '.join(cases[:NAMED])}{more}"


def render_csv(found: Ratios) -> str:
    """One line a case: its parameters, its figures, and what they are beside the reference level's."""
    names = list(dict.fromkeys(name for g in found.groups for r in g.ratios for name in r.figures.parameters))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", *map(cell, names), *COLUMNS])
    for group in found.groups:
        for ratio in group.ratios:
            levels = ratio.figures.parameters
            figures = [read(ratio, found) for read in COLUMNS.values()]
            writer.writerow(map(cell, [ratio.figures.case, *(levels.get(name, "") for name in names), *figures]))
    return text.getvalue()


def _title(group: RatioGroup, *, several: bool) -> str:
    shared = ", ".join(f"{name} {text}" for name, text in group.parameters.items())
    return " ".join(part for part in (group.function if several or not shared else "", shared) if part)


def _row(ratio: Ratio) -> tuple[str, ...]:
    f, speedup = ratio.figures, ratio.speedup
    return (
        ratio.level,
        format_seconds(f.time),
        _moved(ratio.latency_change),
        format_rate(f.throughput),
        NONE if speedup is None else f"{significant(speedup)}x",
        NONE if f.peak_memory is None else format_bytes(f.peak_memory),
        _moved(ratio.memory_change),
    )


def _moved(change: float | None) -> str:
    return NONE if change is None else format_change(1 + change)


def _number(value: float | None, scale: float = 1.0) -> str:
    return "" if value is None else f"{value * scale:.{DIGITS}g}"


COLUMNS: Mapping[str, Callable[[Ratio, Ratios], str]] = {
    "clock": lambda r, _: r.figures.clock,
    "latency_ms": lambda r, _: _number(r.figures.time, 1e3),
    "items_per_s": lambda r, _: _number(r.figures.throughput),
    "memory_mb": lambda r, _: _number(r.figures.peak_memory, 1e-6),
    "reference": lambda _, found: found.reference,
    "latency_change_percent": lambda r, _: _number(r.latency_change, 100),
    "speedup": lambda r, _: _number(r.speedup),
    "memory_change_percent": lambda r, _: _number(r.memory_change, 100),
}
