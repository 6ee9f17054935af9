"""Who is better at what, as tables and sentences of a study show it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite

from pytest_gpuperf.comparison.serving_winners import Decision, Figure
from pytest_gpuperf.records.study import BackendStudy
from pytest_gpuperf.records.text_study import TextStudy
from pytest_gpuperf.records.units import format_rate, format_seconds, significant
from pytest_gpuperf.reports.document import Table
from pytest_gpuperf.reports.figures import NONE


def winners_table(backends: Sequence[str], found: Sequence[Figure], decided: Sequence[Decision]) -> Table:
    """A row a figure: what each back end has, and what that decides."""
    by_figure = {id(d.figure): d for d in decided}
    protocols = any(figure.protocol for figure in found)  # a study of one protocol needs no column for it
    rows: list[tuple[str, ...]] = []
    for figure in found:
        decision = by_figure.get(id(figure))
        verdict = (NONE, NONE) if decision is None else (times(decision), _outcome(decision))
        values = [_value(figure, figure.middle(name)) for name in backends]
        protocol = (figure.protocol or NONE,) if protocols else ()
        rows.append((figure.situation, *protocol, figure.name, *values, *verdict))
    header = ("situation", *(("protocol",) if protocols else ()), "figure", *backends, "best over next", "who")
    return Table(header, "ll" + "l" * protocols + "r" * (len(backends) + 1) + "l", tuple(rows))


def times(decision: Decision) -> str:
    """How many times better, with its interval."""
    interval = f"[{significant(decision.low)}, {significant(decision.high)}]"
    return f"{significant(decision.ratio)}x {interval if isfinite(decision.high) else '[one round: no interval]'}"


def configured(study: BackendStudy | TextStudy, device: str) -> dict[str, str]:
    """How a server served, on what, and with which software; `device` is what the machine's is called."""
    software = study.environment.software
    return {
        **{key: v if isinstance(v, str) else json.dumps(v, sort_keys=True) for key, v in study.configuration.items()},
        device: study.environment.device.name,
        "device did the work": "not looked at" if study.evidence is None else study.evidence.verdict,
        **{name: software[name] for name in sorted(software)},
    }


def stopped_early(finished: int, asked: int) -> Iterator[str]:
    """A doubt about a study that somebody stopped."""
    if finished < asked:
        yield f"stopped early: {finished} of {asked} rounds were finished"


def configuration_table(names: Sequence[str], columns: Sequence[Mapping[str, str]]) -> Table:
    """A column a server."""
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = tuple((key, *(column.get(key, NONE) for column in columns)) for key in keys)
    return Table(("", *names), "l" * (len(columns) + 1), rows)


def _value(figure: Figure, value: float) -> str:
    return format_seconds(value) if figure.unit == "s" else format_rate(value)


def _outcome(decision: Decision) -> str:
    return decision.best if decision.outcome == "winner" else decision.outcome
