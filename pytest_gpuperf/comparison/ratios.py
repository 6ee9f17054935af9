"""Ratios within one file: what a precision, a back end or a batch gains over the reference level beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import median

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.records.model import Accepted, Baseline, Case, Run

USUAL_ORDER = ("model", "precision", "backend", "batch")  # of parameters, before any others
REFERENCES = {"precision": "fp32", "backend": "eager"}  # what the others are usually held against


@dataclass(frozen=True, slots=True)
class RatioFigures:
    """What ratios are made from: one case, medians over its sessions."""

    case: str
    function: str  # the test, and the measurement's name, without the parameters
    parameters: Mapping[str, str]
    time: float  # seconds a call, by `clock`
    clock: str
    throughput: float  # items per second, by `throughput_clock`
    throughput_clock: str
    peak_memory: float | None
    memory_source: str | None


@dataclass(frozen=True, slots=True)
class Ratio:
    """One level beside the reference level: same test, same other parameters. Two clocks are never mixed."""

    figures: RatioFigures
    level: str
    reference: RatioFigures | None  # None: nothing was measured beside it

    @property
    def speedup(self) -> float | None:
        """Times as many items per second: 2.14 is 2.14 times."""
        ref = self.reference
        if ref is None or ref.throughput_clock != self.figures.throughput_clock:
            return None
        return self.figures.throughput / ref.throughput

    @property
    def latency_change(self) -> float | None:
        """Of the time of a call, as a fraction: -0.533 is 53.3 % less."""
        ref = self.reference
        if ref is None or ref.clock != self.figures.clock:
            return None
        return self.figures.time / ref.time - 1

    @property
    def memory_change(self) -> float | None:
        """Of the peak memory, as a fraction. Half the precision need not mean less memory."""
        ref, peak = self.reference, self.figures.peak_memory
        if ref is None or not ref.peak_memory or peak is None or ref.memory_source != self.figures.memory_source:
            return None
        return peak / ref.peak_memory - 1


@dataclass(frozen=True, slots=True)
class RatioGroup:
    """The levels of one workload: everything but the parameter in question is the same."""

    function: str
    parameters: Mapping[str, str]  # the others
    ratios: tuple[Ratio, ...]  # in the order of the file, the reference level first


@dataclass(frozen=True, slots=True)
class Ratios:
    """Everything a file says over one parameter."""

    over: str
    reference: str
    groups: tuple[RatioGroup, ...]
    without: tuple[str, ...]  # cases whose tests have no such parameter
    alike: tuple[str, ...] = ()  # cases that differ in something no parameter tells, such as an object
    source: str | None = None  # where published figures come from


def ratios(measured: Run | Baseline, over: str, reference: str | None = None) -> Ratios:
    """The ratios over a parameter. `reference` is the level the others are held against."""
    every = figures_of(measured)
    having = [f for f in every if over in f.parameters]
    if not having:
        known = ", ".join(sorted({name for f in every for name in f.parameters})) or "none"
        raise UsageError(
            f"--over {over}: no case has a parameter of that name, so there is nothing to compare within. "
            f"The parameters of this file: {known}."
        )
    chosen = _reference(over, [f.parameters[over] for f in having], reference)
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[RatioFigures]] = {}
    for f in having:
        others = tuple((name, text) for name, text in f.parameters.items() if name != over)
        groups.setdefault((f.function, others), []).append(f)
    return Ratios(
        over=over,
        reference=chosen,
        groups=tuple(_group(key[0], over, chosen, g) for key, g in groups.items() if not _alike(g, over)),
        without=tuple(f.case for f in every if over not in f.parameters),
        alike=tuple(f.case for g in groups.values() if _alike(g, over) for f in g),
        source=measured.source if isinstance(measured, Baseline) else None,
    )


def figures_of(measured: Run | Baseline) -> list[RatioFigures]:
    """Every case of a run or of a baseline, in the file's order."""
    return [_of_case(c) if isinstance(c, Case) else _of_accepted(c) for c in measured.cases]


def _of_case(case: Case) -> RatioFigures:
    newest = case.measurements[-1]
    same = [m for m in case.measurements if (m.items, m.clock) == (newest.items, newest.clock)]
    peaks = [m.peak_memory for m in same if m.peak_memory is not None]
    return RatioFigures(
        case=case.id,
        function=_function(case.id, case.test),
        parameters=_ordered(case.parameters),
        time=median(m.device_time.median for m in same),
        clock=newest.clock,
        throughput=median(m.throughput for m in same),
        throughput_clock="host" if newest.walls else newest.clock,
        peak_memory=median(peaks) if peaks else None,
        memory_source=newest.memory_source,
    )


def _of_accepted(case: Accepted) -> RatioFigures:
    """A baseline keeps the time of a call only: its throughput is what that time would give."""
    time = median(m for s in case.series for m in s.medians)
    peaks = [s.peak_memory for s in case.series if s.peak_memory is not None]
    return RatioFigures(
        case=case.id,
        function=_function(case.id, case.test),
        parameters=_ordered(case.parameters),
        time=time,
        clock=case.clock,
        throughput=case.items / time,
        throughput_clock=case.clock,
        peak_memory=median(peaks) if peaks else None,
        memory_source=None,
    )


def _function(case: str, test: str) -> str:
    """``tests/x.py::test_y[fp16-8]#prefill`` -> ``tests/x.py::test_y#prefill``."""
    path, separator, name = test.rpartition("::")
    return path + separator + name.partition("[")[0] + case.removeprefix(test)


def _ordered(parameters: Mapping[str, str]) -> dict[str, str]:
    """As people say them, whatever the order in the file."""
    rank = {name: i for i, name in enumerate(USUAL_ORDER)}
    return dict(sorted(parameters.items(), key=lambda p: (rank.get(p[0], len(rank)), p[0])))


def _reference(over: str, levels: Sequence[str], asked: str | None) -> str:
    known = list(dict.fromkeys(levels))
    if asked is not None:
        if asked not in known:
            raise UsageError(f"--reference {asked}: no case has it. The levels of {over}: {', '.join(known)}.")
        return asked
    usual = REFERENCES.get(over)
    if usual in known:
        return usual
    if _are_numbers(known):
        return min(known, key=float)
    raise UsageError(
        f"--over {over}: which level the others are held against is not plain. "
        f"Name it: --reference LEVEL, one of: {', '.join(known)}."
    )


def _are_numbers(texts: Iterable[str]) -> bool:
    try:
        return all(isfinite(float(text)) for text in texts)
    except ValueError:
        return False


def _alike(members: Sequence[RatioFigures], over: str) -> bool:
    return len({f.parameters[over] for f in members}) < len(members)


def _group(function: str, over: str, reference: str, members: Sequence[RatioFigures]) -> RatioGroup:
    beside = next((f for f in members if f.parameters[over] == reference), None)
    ordered = sorted(members, key=lambda f: f.parameters[over] != reference)
    return RatioGroup(
        function=function,
        parameters={name: text for name, text in members[0].parameters.items() if name != over},
        ratios=tuple(Ratio(f, f.parameters[over], None if f is beside else beside) for f in ordered),
    )
