"""Which serving back end is better at what: a winner, a tie, or not known, each figure with its interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, log, log1p
from statistics import fmean, median, variance
from typing import Literal

from pytest_gpuperf.gate.spread import student
from pytest_gpuperf.records.served_load import Load
from pytest_gpuperf.records.study import BackendStudy, Round, Visit

BAND = 0.03  # two figures nearer than this are a tie, if their interval says so
CONFIDENCE = 0.95
WEIGHT = 4.0  # degrees of freedom that the spread of all figures counts for in the spread of one

Outcome = Literal["winner", "tie", "not decided"]
Unit = Literal["s", "/s"]


@dataclass(frozen=True)
class Figure:
    """One figure that every back end has, with a value a round (None: too few answers for it in that round)."""

    situation: str  # "cold start", "single", "batch 8", "concurrency 16"
    protocol: str  # "" where it has none
    name: str  # "requests/s", "p50"
    unit: Unit
    higher_is_better: bool
    values: Mapping[str, Sequence[float | None]]  # back end -> one a round

    def middle(self, backend: str) -> float:
        """The median over the rounds."""
        return median(v for v in self.values[backend] if v is not None)

    def ranked(self) -> list[str]:
        """The back ends, the best first."""
        means = {name: fmean(log(v) for v in values if v is not None) for name, values in self.values.items()}
        return sorted(means, key=means.__getitem__, reverse=self.higher_is_better)

    def changes(self) -> list[float]:
        """How much the best is better than the next: a log ratio for each round, whose servers had the same minutes."""
        best, second = self.ranked()[:2]
        sign = 1 if self.higher_is_better else -1
        pairs = zip(self.values[best], self.values[second], strict=True)
        return [sign * log(a / b) for a, b in pairs if a is not None and b is not None]


@dataclass(frozen=True)
class Decision:
    """The best back end beside the second best."""

    figure: Figure
    best: str
    second: str
    ratio: float  # times better
    low: float  # its interval
    high: float
    outcome: Outcome


def figures(studies: Sequence[BackendStudy]) -> list[Figure]:
    """What all back ends have, in the order a reader wants them."""
    tables = {s.backend: [_of_round(r) for r in s.rounds] for s in studies}
    keys = dict.fromkeys(key for rounds in tables.values() for table in rounds for key in table)
    places = {place: i for i, place in enumerate(dict.fromkeys((k.situation, k.protocol) for k in keys))}
    found: list[Figure] = []
    for key in sorted(keys, key=lambda k: (places[k.situation, k.protocol], _ORDER.index(k.name))):
        values = {backend: [table.get(key) for table in rounds] for backend, rounds in tables.items()}
        if all(any(v is not None for v in theirs) for theirs in values.values()):
            found.append(Figure(key.situation, key.protocol, key.name, key.unit, key.higher, values))
    return found


def decisions(found: Sequence[Figure], band: float = BAND) -> list[Decision]:
    """Who is best at each; nobody where there is only one.

    A few rounds tell little of how much one figure varies between them; all figures of a study together tell more.
    """
    every = [(figure, figure.changes()) for figure in found if len(figure.values) > 1]
    compared = [(figure, changes) for figure, changes in every if changes]
    common = common_spread([changes for _, changes in compared])
    return [_decide(figure, changes, common, band) for figure, changes in compared]


def common_spread(every: Sequence[Sequence[float]]) -> float:
    """How much the figures of a study vary from round to round: the middle variance; infinite where none is known."""
    spreads = [variance(values) for values in every if len(values) > 1]
    return median(spreads) if spreads else inf


def half_width(values: Sequence[float], common: float) -> float:
    """Half of the interval of their mean, by their own spread and that of all figures."""
    count = len(values)
    own = variance(values) if count > 1 else 0.0
    freedom = WEIGHT + count - 1
    spread = ((WEIGHT * common + (count - 1) * own) / freedom) ** 0.5
    return float(student((1 + CONFIDENCE) / 2, freedom)) * spread / count**0.5


def _decide(figure: Figure, changes: Sequence[float], common: float, band: float) -> Decision:
    change, half = fmean(changes), half_width(changes, common)
    edge = log1p(band)
    outcome: Outcome = "not decided"
    if change - half > edge:
        outcome = "winner"
    elif abs(change) + half <= edge:
        outcome = "tie"
    best, second = figure.ranked()[:2]
    return Decision(figure, best, second, exp(change), exp(change - half), exp(change + half), outcome)


def of_situation(study: BackendStudy, situation: str) -> list[Load]:
    """The loads of a situation, over all rounds."""
    return [v.load for r in study.rounds for v in r.visits if v.situation == situation]


@dataclass(frozen=True)
class _Key:
    situation: str
    protocol: str
    name: str
    unit: Unit
    higher: bool


_LATENCY: tuple[tuple[str, Callable[[Load], float | None]], ...] = (
    ("mean", lambda load: load.latency.mean),
    ("p50", lambda load: load.latency.p50),
    ("p90", lambda load: load.latency.p90),
    ("p95", lambda load: load.latency.p95),
    ("p99", lambda load: load.latency.p99),
)
_ORDER = ("server ready", "first answer", "requests/s", "images/s", *(name for name, _ in _LATENCY))


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
