"""Ratios within one file as a table and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping

from pytest_gpuperf.analysis.ratios import Group, Ratio, Ratios
from pytest_gpuperf.reports.figures import NONE
from pytest_gpuperf.reports.tables import prose, table
from pytest_gpuperf.results.units import format_bytes, format_rate, format_seconds, significant

LEGEND = (
    "latency: the median time of a call, by the clock of its case ({clocks}); speed-up: times as many items per "
    "second. {none}: not measured, or not by the same clock as {over} {reference}."
)
DIGITS = 6


def render_ratios(found: Ratios, width: int) -> str:
    """One row a level, under the parameters that its group has in common."""
    several = len({g.function for g in found.groups}) > 1
    groups = {_title(g, several=several): [_row(r) for r in g.ratios] for g in found.groups}
    header = (found.over, "latency", "change", "throughput", "speed-up", "memory", "change")
    every = [r for g in found.groups for r in g.ratios]
    clocks = sorted({r.figures.clock for r in every})
    said = [LEGEND.format(clocks=", ".join(clocks), none=NONE, over=found.over, reference=found.reference)]
    if found.without:
        said.append(f"{len(found.without)} cases have no parameter {found.over} and are left out.")
    alone = [r.figures.case for r in every if r.reference is None and r.level != found.reference]
    said += [f"no {found.over} {found.reference} was measured beside {case}" for case in alone]
    lines = [line for sentence in said for line in prose(sentence, width, hanging="  ")]
    return "\n".join([*table(header, "lrrrrrr", groups, width), "", *lines])


def render_csv(found: Ratios) -> str:
    """One line a case: its parameters, its figures, and what they are beside the reference level's."""
    names = list(dict.fromkeys(name for g in found.groups for name in (*g.parameters, found.over)))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", *names, *COLUMNS])
    for group in found.groups:
        for ratio in group.ratios:
            levels = ratio.figures.parameters
            figures = [read(ratio, found) for read in COLUMNS.values()]
            writer.writerow([ratio.figures.case, *(levels.get(name, "") for name in names), *figures])
    return text.getvalue()


def _title(group: Group, *, several: bool) -> str:
    shared = ", ".join(f"{name} {text}" for name, text in group.parameters.items())
    return " ".join(part for part in (group.function if several or not shared else "", shared) if part)


def _row(ratio: Ratio) -> tuple[str, ...]:
    f, speedup = ratio.figures, ratio.speedup
    return (
        ratio.level,
        format_seconds(f.time),
        _percent(ratio.latency_change),
        format_rate(f.throughput),
        NONE if speedup is None else f"{significant(speedup)}x",
        NONE if f.peak_memory is None else format_bytes(f.peak_memory),
        _percent(ratio.memory_change),
    )


def _percent(change: float | None) -> str:
    return NONE if change is None else f"{change:+.1%}"


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
