"""What is drawn: one panel a model, one line a precision and back end, one point a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import median

from pytest_gpuperf.comparison.ratios import RatioFigures, figures_of
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.records.model import Accepted, Baseline, Case, Run

AXIS = "batch"
LINES = ("precision", "backend")


@dataclass(frozen=True)
class Reading:
    """A figure, and how far its sessions reach; None where there is one session without an interval of its own."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Point:
    """One case."""

    line: str
    level: str
    latency: Reading
    throughput: Reading
    clock: str
    latency_before: Reading | None = None
    throughput_before: Reading | None = None  # None too where the baseline's throughput is by another clock


@dataclass(frozen=True)
class Panel:
    """The cases that differ in batch, precision and back end alone."""

    title: str
    axis: str
    points: tuple[Point, ...]

    @property
    def lines(self) -> list[str]:
        """In a stable order, so that a colour means the same from run to run."""
        return sorted({p.line for p in self.points})

    @property
    def levels(self) -> list[str]:
        """Along the axis: numbers by size, before anything else."""
        return sorted({p.level for p in self.points}, key=_by_size)


def panels(measured: Run | Baseline, baseline: Baseline | None = None) -> list[Panel]:
    """Every panel, in the order of the file."""
    before = {a.id: a for a in baseline.cases} if baseline else {}
    every = figures_of(measured)
    axis = _axis(every)
    varying = {n for n in every[0].parameters if len({f.parameters.get(n) for f in every}) > 1} if every else set[str]()
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[Point]] = {}
    for case, figures in zip(measured.cases, every, strict=True):
        if axis not in figures.parameters:
            continue
        others = tuple((n, t) for n, t in figures.parameters.items() if n not in {axis, *LINES})
        point = _point(case, figures, before.get(case.id), axis)
        groups.setdefault((figures.function, others), []).append(point)
    functions = {function for function, _ in groups}
    return [
        Panel(
            _title(function, {n: t for n, t in others if n in varying or n == "model"}, several=len(functions) > 1),
            axis,
            tuple(points),
        )
        for (function, others), points in groups.items()
    ]


def _axis(every: Sequence[RatioFigures]) -> str:
    levels: dict[str, set[str]] = {}
    for figures in every:
        for name, text in figures.parameters.items():
            levels.setdefault(name, set()).add(text)
    if AXIS in levels:
        return AXIS
    numeric = {name: len(texts) for name, texts in levels.items() if len(texts) > 1 and all(map(is_number, texts))}
    if not numeric:
        raise UsageError(
            "There is nothing to draw over: no case has a parameter `batch`, or another that is a number and has "
            "several levels. Parametrize a test with it: @pytest.mark.parametrize('batch', [1, 8, 32])."
        )
    return max(numeric, key=lambda name: numeric[name])


def is_number(text: str) -> bool:
    """Whether a level is one."""
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def _by_size(level: str) -> tuple[bool, float, str]:
    return (False, float(level), level) if is_number(level) else (True, 0.0, level)


def _title(function: str, others: Mapping[str, str], *, several: bool) -> str:
    name = function.rpartition("::")[2]
    levels = ", ".join(text if key == "model" else f"{key} {text}" for key, text in others.items())
    return f"{levels} ({name})" if levels and several else levels or name


def _point(case: Case | Accepted, figures: RatioFigures, accepted: Accepted | None, axis: str) -> Point:
    known = accepted if accepted and (accepted.clock, accepted.items) == (figures.clock, _items(case)) else None
    return Point(
        line=" ".join(figures.parameters[n] for n in LINES if n in figures.parameters) or "measured",
        level=figures.parameters[axis],
        latency=_latency(case, figures),
        throughput=_throughput(case, figures),
        clock=figures.clock,
        latency_before=_of_sessions(known, lambda seconds: seconds) if known else None,
        throughput_before=_of_sessions(known, lambda seconds: _items(case) / seconds)
        if known and figures.throughput_clock == known.clock
        else None,
    )


def _items(case: Case | Accepted) -> int:
    return case.items if isinstance(case, Accepted) else case.measurements[-1].items


def _latency(case: Case | Accepted, figures: RatioFigures) -> Reading:
    if isinstance(case, Accepted):
        return _of_sessions(case, lambda seconds: seconds)
    same = [m for m in case.measurements if m.clock == figures.clock]
    reach = [(m.device_time.median, m.interval) for m in same]
    return Reading(figures.time, min(t * (1 - min(i, 0.999)) for t, i in reach), max(t * (1 + i) for t, i in reach))


def _throughput(case: Case | Accepted, figures: RatioFigures) -> Reading:
    if isinstance(case, Accepted):
        return _of_sessions(case, lambda seconds: case.items / seconds)
    reach = [(m.throughput, m.interval) for m in case.measurements if m.items == _items(case)]
    return Reading(
        figures.throughput, min(r * (1 - min(i, 0.999)) for r, i in reach), max(r * (1 + i) for r, i in reach)
    )


def _of_sessions(accepted: Accepted, figure: Callable[[float], float]) -> Reading:
    """A baseline keeps no interval within a session: its sessions say how far it reaches."""
    each = [figure(median(s.medians)) for s in accepted.series]
    several = len(each) > 1
    return Reading(median(each), min(each) if several else None, max(each) if several else None)
