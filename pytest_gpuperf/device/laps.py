"""Energy lap by lap: one piece of work after another, with nothing left out between them.

    idle --- the counter moves - start - lap - lap - lap ... last lap - the counter moves
             |------------------- counted --------------------------------------|

After each lap the counter is read as it stands. It lags behind by up to one of its periods, and what one lap lacks the
next one has: only at the very end is its next movement waited for. So the sum of the laps is as good as one long window
(`device/power.py`), wherever somebody ends the process; one lap alone is as good as it is long.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from time import monotonic
from typing import Self

from pytest_gpuperf.device.counter import Meter, next_edge
from pytest_gpuperf.device.energy import Point
from pytest_gpuperf.device.power import INTERVAL, Sampler
from pytest_gpuperf.device.readings import Missing, Reading, known
from pytest_gpuperf.records.enough_energy import too_short

_LEAST_TAIL = 0.25  # seconds whose watts stand for what the counter did not show before it moved again
_NO_SAMPLE = Missing("failed", f"watts are sampled every {INTERVAL:g} s, and none fell into it")
_NOT_COUNTED = Missing("failed", "the energy counter did not answer in it")


@dataclass(frozen=True, slots=True)
class Lap:
    """One lap by one meter."""

    joules: Reading[float]
    sampled: Reading[float]  # by the watts alone
    mean_watts: Reading[float]
    peak_watts: Reading[float]


class Laps:
    """The laps of one stretch of work, by one meter. The device is idle when this begins."""

    def __init__(self, meter: Meter, period: Reading[float]) -> None:
        self._meter = meter
        self._period = period
        self._sampler = Sampler(meter)
        self._refused = meter.refused()
        self._idle: Reading[float] = _NO_SAMPLE
        self._start = self._at = 0.0
        self._counter: Reading[float] = _NOT_COUNTED
        self._counted: list[Point] = []  # the counter at the start and at the ends of laps
        self._early = 0.0  # joules that were counted before the start
        self._taken = 0  # samples that are integrated
        self._held: Point | None = None  # the last of them
        self._ahead = 0.0  # joules that an earlier lap took from watts which had not been sampled yet

    def __enter__(self) -> Self:
        self._sampler.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._sampler.__exit__(*error)

    @property
    def idle_watts(self) -> Reading[float]:
        """Watts before the start, with nothing queued."""
        return self._refused or self._idle

    @property
    def period(self) -> float:
        """Seconds between two readings that differ: of the counter, or where there is none, of the watts."""
        return INTERVAL if isinstance(self._period, Missing) else self._period

    def wait_for_edge(self) -> None:
        """Know what the idle device took until now, and let the counter move."""
        watts = [value for _, value in self._sampler.watts]
        self._idle = sum(watts) / len(watts) if watts else self._sampler.no_watts or _NO_SAMPLE
        edge = self._period if isinstance(self._period, Missing) else next_edge(self._meter, self._period)
        if isinstance(edge, Missing):
            self._counter, self._start = edge, monotonic()
        else:
            self._counter, self._start = edge.joules, edge.at

    def start(self, at: float) -> None:
        """The work begins now."""
        self._early = (known(self._idle) or 0.0) * (at - self._start)
        if not isinstance(self._counter, Missing):
            self._counted.append((at, self._counter))
        self._start = self._at = at
        self._taken = bisect_right(self._sampler.watts, at, key=_moment)
        if self._taken:
            self._held = at, self._sampler.watts[self._taken - 1][1]

    def lap(self, at: float) -> Lap:
        """A lap has ended, and the next one begins."""
        return self._lap(at, self._meter.energy())

    def last_lap(self, at: float) -> Lap:
        """The last lap has ended: the counter's next movement says what it had not shown by then."""
        counter = self._meter.energy()
        # The very next movement, however sharply it is seen: a later one says nothing of that value.
        edge = self._period if isinstance(self._period, Missing) else next_edge(self._meter)
        self._refused = self._refused or self._meter.refused()
        began = self._at
        lap = self._lap(at, counter)
        if isinstance(edge, Missing) or isinstance(self._period, Missing) or isinstance(lap.joules, Missing):
            return lap
        since = edge.at - self._period  # the counter came to its value then
        watts = self._watts_between(max(self._start, min(since, at - _LEAST_TAIL)), at)
        mean = sum(watts) / len(watts) if watts else lap.joules / (at - began)
        return replace(lap, joules=lap.joules + mean * (at - since))

    def counted_between(self, start: float, end: float) -> Reading[float]:
        """Joules between two moments inside the last lap, if they are far enough apart."""
        refused = self._refused or self._sampler.refused
        if refused is not None:
            return refused
        short = too_short(end - start, max(self.period, INTERVAL))
        if short is not None:
            return Missing("failed", short)
        points = sorted([*self._sampler.joules[-_points(self._at - start) :], *self._counted[-2:]])
        before, after = _at(points, start), _at(points, end)
        if before is None or after is None or after < before:
            return _NOT_COUNTED
        return after - before

    def _lap(self, at: float, counter: Reading[float]) -> Lap:
        before, self._counter = self._counter, counter
        if not isinstance(counter, Missing):
            self._counted = [*self._counted[-1:], (at, counter)]
        sampled = self._sampled(at)
        watts = self._watts_between(self._at, at)
        self._at = at
        early, self._early = self._early, 0.0
        refused = self._refused = self._refused or self._sampler.refused
        if refused is not None:
            return Lap(refused, refused, refused, refused)
        no_watts = self._sampler.no_watts or _NO_SAMPLE
        joules = sampled
        if isinstance(before, Missing) or isinstance(counter, Missing):
            if isinstance(sampled, Missing):
                joules = counter if isinstance(counter, Missing) else before
        else:
            rise = counter - before
            if rise < 0 and self._meter.wraps_at is not None:
                rise += self._meter.wraps_at
            if rise >= 0:  # else it was reset, and the watts must do
                joules = rise - early
        return Lap(joules, sampled, sum(watts) / len(watts) if watts else no_watts, max(watts, default=no_watts))

    def _watts_between(self, start: float, end: float) -> list[float]:
        samples = self._sampler.watts
        first = bisect_left(samples, start, key=_moment)
        return [value for _, value in samples[first : bisect_right(samples, end, key=_moment)]]

    def _sampled(self, at: float) -> Reading[float]:
        """Joules by the watts since the last lap: between two samples a straight line, after the last one level."""
        samples = self._sampler.watts
        total, end = -self._ahead, bisect_right(samples, at, key=_moment)
        for moment, watts in samples[self._taken : end]:
            then, before = self._held or (self._start, watts)
            total += (moment - then) * (before + watts) / 2
            self._held = moment, watts
        self._taken = end
        if self._held is None:
            return self._sampler.no_watts or _NO_SAMPLE
        then, watts = self._held
        self._ahead = (at - then) * watts
        return total + self._ahead


def _moment(point: Point) -> float:
    return point[0]


def _points(seconds: float) -> int:
    """At most how many samples there are of so many seconds."""
    return int(seconds / INTERVAL) + 2


def _at(points: list[Point], moment: float) -> float | None:
    """The counter at a moment: between two points a straight line."""
    index = bisect_right(points, moment, key=_moment)
    if index == 0:
        return None
    then, before = points[index - 1]
    if index == len(points):
        return before
    after, value = points[index]
    return before + (value - before) * (moment - then) / (after - then)
