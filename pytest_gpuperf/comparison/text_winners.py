"""What a study's sweep says of each language model's server: how far it goes, where it is best, and who is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, isfinite, log
from statistics import fmean, median

from pytest_gpuperf.comparison.scalability import Scalability, scalability
from pytest_gpuperf.comparison.serving_winners import (
    BAND,
    Decision,
    Figure,
    Unit,
    common_spread,
    decisions,
    half_width,
)
from pytest_gpuperf.records.latency import Latency
from pytest_gpuperf.records.text_load import TextLoad
from pytest_gpuperf.records.text_study import TextPoint, TextStudy
from pytest_gpuperf.records.units import format_rate

COLD = "cold start"


def first_text(load: TextLoad) -> Latency:
    """Until the first text came: from when a request was due, where it was due at a time."""
    return load.ttft if load.from_schedule is None else load.from_schedule.ttft


def whole_answer(load: TextLoad) -> Latency:
    """Until the last text came, likewise."""
    return load.end_to_end if load.from_schedule is None else load.from_schedule.end_to_end


def _of_load(read: Callable[[TextLoad], float | None]) -> Callable[[TextPoint], float | None]:
    return lambda point: None if point.load is None else read(point.load)


@dataclass(frozen=True)
class Measure:
    """One figure that every point has, and which way is better."""

    name: str
    unit: Unit
    higher_is_better: bool
    read: Callable[[TextPoint], float | None]

    def values(self, study: TextStudy, at: float) -> list[float | None]:
        """One a round."""
        return [None if point is None else self.read(point) for point in study.visits(at)]

    def middle(self, study: TextStudy, at: float) -> float | None:
        """The median over the rounds."""
        known = [value for value in self.values(study, at) if value is not None]
        return median(known) if known else None


REQUESTS = Measure("requests/s", "/s", True, _of_load(lambda load: load.requests_per_second))
TOKENS = Measure("tokens/s", "/s", True, _of_load(lambda load: load.tokens_per_second))
GOODPUT = Measure("goodput", "/s", True, lambda point: point.goodput)
TTFT = Measure("TTFT mean", "s", False, _of_load(lambda load: first_text(load).mean))
TTFT_P50 = Measure("TTFT p50", "s", False, _of_load(lambda load: first_text(load).p50))
TTFT_P90 = Measure("TTFT p90", "s", False, _of_load(lambda load: first_text(load).p90))
TTFT_P99 = Measure("TTFT p99", "s", False, _of_load(lambda load: first_text(load).p99))
TPOT = Measure("TPOT mean", "s", False, _of_load(lambda load: None if load.tpot is None else load.tpot.mean))
LATENCY = Measure("latency mean", "s", False, _of_load(lambda load: whole_answer(load).mean))
_COMPARED = (REQUESTS, TOKENS, GOODPUT, TTFT, TTFT_P99, TPOT, LATENCY)
_ASKED_FOR = (REQUESTS, TOKENS)  # where requests arrive by themselves, nobody is better at these


def situation(study: TextStudy, at: float) -> str:
    """A point in words: ``concurrency 8``, ``rate 2.00 /s``."""
    return f"rate {format_rate(at)}" if study.asked.sweep == "rate" else f"concurrency {at:g}"


def figures(studies: Sequence[TextStudy]) -> list[Figure]:
    """What all servers have at each point. One that is nothing to anybody has no ratio, and is left out."""
    asked = studies[0].asked
    starts = {s.contender: [one.server_start for one in s.rounds] for s in studies}
    measures = [m for m in _COMPARED if asked.sweep == "concurrency" or m not in _ASKED_FOR]
    found = [Figure(COLD, "", "server ready", "s", False, starts)]
    found += [
        Figure(
            situation(studies[0], at),
            "",
            m.name,
            m.unit,
            m.higher_is_better,
            {s.contender: m.values(s, at) for s in studies},
        )
        for at in asked.points
        for m in measures
    ]
    return [figure for figure in found if _comparable(figure.values)]


def _comparable(values: Mapping[str, Sequence[float | None]]) -> bool:
    return all(any(v is not None for v in theirs) and 0 not in theirs for theirs in values.values())


def behind(study: TextStudy, at: float) -> int:
    """Rounds in which the server fell behind what was due."""
    return sum(point is not None and point.falls_behind for point in study.visits(at))


def met(study: TextStudy, at: float) -> int:
    """Rounds in which enough requests met all limits."""
    return sum(point is not None and point.meets_limits for point in study.visits(at))


def highest(study: TextStudy) -> float | None:
    """The highest point that met the limits in every round."""
    return max((at for at in study.asked.points if met(study, at) == len(study.rounds)), default=None)


def knee(study: TextStudy) -> tuple[float | None, float] | None:
    """The last rate that the server kept up with, and the first at which it fell behind in most of the rounds."""
    first = next((at for at in study.asked.points if 2 * behind(study, at) > len(study.rounds)), None)
    if first is None:
        return None
    return max((at for at in study.asked.points if at < first and not behind(study, at)), default=None), first


def law(study: TextStudy) -> Scalability | None:
    """How the server's requests a second grow with concurrency, by all loads of all rounds."""
    pairs = [
        (at, load.requests_per_second) for at in study.asked.points for load in study.loads(at) if load is not None
    ]
    return scalability([at for at, _ in pairs], [rate for _, rate in pairs])


@dataclass(frozen=True)
class Best:
    """Where a server does most, and how much that is."""

    at: float
    measure: Measure
    value: float
    low: float  # its interval over the rounds
    high: float

    @property
    def has_interval(self) -> bool:
        """Whether there was more than one round to tell."""
        return isfinite(self.high)


def measured_by(studies: Sequence[TextStudy]) -> Measure:
    """Throughput in tokens, since answers may differ in length; in requests where some server counts no tokens."""
    loads = [load for s in studies for at in s.asked.points for load in s.loads(at) if load is not None]
    return TOKENS if all(load.generated_tokens is not None for load in loads) else REQUESTS


def advised_by(studies: Sequence[TextStudy]) -> Measure:
    """What a recommendation goes by."""
    return GOODPUT if studies[0].asked.slo else measured_by(studies)


def best(study: TextStudy, measure: Measure) -> Best | None:
    """The least load that brings as much as any: more of it only makes answers wait. None where no point will do."""
    rounds = len(study.rounds)
    will_do = [
        at
        for at in study.asked.points
        if all(value is not None for value in measure.values(study, at))
        and (met(study, at) == rounds if study.asked.slo else not behind(study, at))
    ]
    if not will_do:
        return None
    logs = {at: [log(v) for v in measure.values(study, at) if v is not None] for at in will_do}
    most = max(fmean(values) for values in logs.values())
    at = next(at for at in will_do if fmean(logs[at]) >= most + log(1 - BAND))
    half = half_width(logs[at], common_spread(list(logs.values())))
    value = fmean(logs[at])
    return Best(at, measure, exp(value), exp(value - half), exp(value + half))


def decided_at_best(studies: Sequence[TextStudy], bests: Mapping[str, Best]) -> Decision | None:
    """Each server where it does most: who is better, by what a recommendation goes by."""
    measure = advised_by(studies)
    values = {s.contender: measure.values(s, bests[s.contender].at) for s in studies if s.contender in bests}
    if len(values) < 2:
        return None
    own = Figure("each at its best", "", measure.name, measure.unit, True, values)
    others = [figure for figure in figures([s for s in studies if s.contender in bests]) if figure.name == measure.name]
    return next(d for d in decisions([own, *others]) if d.figure is own)
