"""Which serving back end is better at what: a winner, a tie, or not known, each figure with its interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, log, log1p
from statistics import fmean, median, stdev
from typing import Literal

from pytest_gpuperf.analysis.quantiles import student
from pytest_gpuperf.results.load import Load
from pytest_gpuperf.results.study import BackendStudy, Round, Visit

BAND = 0.03  # two figures nearer than this are a tie, if their interval says so
CONFIDENCE = 0.95

Outcome = Literal["winner", "tie", "not decided"]


@dataclass(frozen=True)
class Figure:
    """One figure that every back end has, with a value a round."""

    situation: str  # "cold start", "single", "batch 8", "concurrency 16"
    protocol: str  # "" where it has none
    name: str  # "requests/s", "p50"
    unit: Literal["s", "/s", "B"]
    higher_is_better: bool
    values: Mapping[str, Sequence[float]]  # back end -> one a round


@dataclass(frozen=True)
class Decision:
    """The best back end beside the second best."""

    figure: Figure
    best: str
    second: str
    ratio: float  # times better; from 1
    low: float  # its interval
    high: float
    outcome: Outcome


def figures(studies: Sequence[BackendStudy]) -> list[Figure]:
    """What all back ends have, in the order a reader wants them."""
    tables = [(s.backend, [_of_round(r) for r in s.rounds]) for s in studies]
    keys = dict.fromkeys(key for _, rounds in tables for table in rounds for key in table)
    found: list[Figure] = []
    for key in keys:
        values = {backend: [table[key] for table in rounds if key in table] for backend, rounds in tables}
        if all(values.values()):
            found.append(Figure(key.situation, key.protocol, key.name, key.unit, key.higher, values))
    return found


def decide(figure: Figure, band: float = BAND) -> Decision | None:
    """Who is best at it; None where there is nobody to compare with."""
    if len(figure.values) < 2:
        return None
    sign = -1 if figure.higher_is_better else 1
    costs = {name: [sign * log(v) for v in values] for name, values in figure.values.items()}
    best, second = sorted(costs, key=lambda name: fmean(costs[name]))[:2]
    rounds = min(len(costs[best]), len(costs[second]))
    changes = [b - a for a, b in zip(costs[best], costs[second], strict=False)]  # of one round: the same minutes
    change = fmean(changes)
    half = inf
    if rounds > 1:
        half = float(student((1 + CONFIDENCE) / 2, rounds - 1)) * stdev(changes) / rounds**0.5
    edge = log1p(band)
    outcome: Outcome = "not decided"
    if change - half > edge:
        outcome = "winner"
    elif abs(change) + half <= edge:
        outcome = "tie"
    return Decision(figure, best, second, exp(change), _exp(change - half), _exp(change + half), outcome)


def of_situation(study: BackendStudy, situation: str) -> list[Load]:
    """The loads of a situation, over all rounds."""
    return [v.load for r in study.rounds for v in r.visits if v.situation == situation]


def middle(figure: Figure, backend: str) -> float:
    """The median over the rounds."""
    return median(figure.values[backend])


@dataclass(frozen=True)
class _Key:
    situation: str
    protocol: str
    name: str
    unit: Literal["s", "/s", "B"]
    higher: bool


_LATENCY: tuple[tuple[str, Callable[[Load], float | None]], ...] = (
    ("mean", lambda load: load.latency.mean),
    ("p50", lambda load: load.latency.p50),
    ("p90", lambda load: load.latency.p90),
    ("p95", lambda load: load.latency.p95),
    ("p99", lambda load: load.latency.p99),
)


def _of_round(one: Round) -> dict[_Key, float]:
    table: dict[_Key, float] = {}
    if one.server_start is not None:
        table[_Key("cold start", "", "server ready", "s", higher=False)] = one.server_start
    table[_Key("cold start", "", "first answer", "s", higher=False)] = one.first_answer
    for visit in one.visits:
        table |= _of_visit(visit)
    return table


def _of_visit(visit: Visit) -> dict[_Key, float]:
    load = visit.load
    named = {"single": "single", "batch": f"batch {load.batch}", "concurrent": f"concurrency {load.concurrency}"}
    situation, protocol = named[visit.situation], load.wire.protocol
    table: dict[_Key, float] = {}
    if visit.situation == "concurrent":
        table[_Key(situation, protocol, "requests/s", "/s", higher=True)] = load.requests_per_second
    if visit.situation == "batch":
        table[_Key(situation, protocol, "images/s", "/s", higher=True)] = load.images_per_second
    for name, read in _LATENCY:
        value = read(load)
        if value is not None:
            table[_Key(situation, protocol, name, "s", higher=False)] = value
    return table


def _exp(value: float) -> float:
    return exp(value) if value < 700 else inf
