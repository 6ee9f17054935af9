"""Joules of a window, from what was read in it. Pure: no clock and no device here.

The counter is the first witness, watts sampled beside it the second: they fill in what the counter cannot say (the end
of the window, a reset), stand in where there is no counter, and contradict it where it is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pytest_gpuperf.device.readings import Missing, Reading
from pytest_gpuperf.records.enough_energy import DISAGREE, too_short

Point = tuple[float, float]  # seconds by the monotonic clock, and watts or joules

NO_WATTS = Missing("failed", "no watts were sampled in the window: it was too short")
_LEAST_TAIL = 0.25  # seconds whose watts stand for the end of the window


@dataclass(frozen=True, slots=True)
class Readings:
    """Everything read around one window."""

    start: float
    end: float
    idle_watts: Reading[float]
    watts: Sequence[Point]  # sampled, in order
    joules: Sequence[Point]  # the counter, sampled beside them
    first: Reading[Point]  # the counter at an edge just before the start
    last: Reading[Point]  # the counter at the end, and the edge since which it holds
    slack: float = 0.0  # seconds by which the edges may be wrong
    period: float | None = None  # of the counter
    wraps_at: float | None = None
    unsampled: Missing = NO_WATTS


@dataclass(frozen=True, slots=True)
class Energy:
    """The energy of a window, and how well it is known."""

    seconds: float
    joules: Reading[float]
    mean_watts: Reading[float]
    peak_watts: Reading[float]
    idle_watts: Reading[float]
    method: str
    uncertainty: float | None  # relative
    notes: tuple[str, ...] = ()

    @property
    def above_idle(self) -> Reading[float]:
        """Joules beyond what the device takes when it does nothing."""
        if isinstance(self.joules, Missing):
            return self.joules
        return self.idle_watts if isinstance(self.idle_watts, Missing) else self.joules - self.idle_watts * self.seconds


def account(read: Readings) -> Energy:
    """What a window took."""
    seconds = read.end - read.start
    inside = [p for p in read.watts if read.start <= p[0] <= read.end]
    sampled = _integrated(read)
    peak: Reading[float] = max((w for _, w in inside), default=read.unsampled)
    if isinstance(read.first, Missing) or isinstance(read.last, Missing):
        missing = read.first if isinstance(read.first, Missing) else read.last
        assert isinstance(missing, Missing)
        if isinstance(sampled, Missing):
            return Energy(seconds, missing, missing, peak, read.idle_watts, "none", None)
        method = f"watts sampled {len(inside)} times, without the counter ({missing.reason})"
        error = _spread(inside) * _step(inside) / seconds
        return Energy(seconds, sampled, sampled / seconds, peak, read.idle_watts, method, error)
    joules, resets, bridged = _counted(read, read.first, read.last)
    tail = read.end - read.last[0]
    mean = max(joules / max(read.last[0] - read.first[0], 1e-9), 0.0)
    idle = mean if isinstance(read.idle_watts, Missing) else read.idle_watts
    # From the edge to the start nothing ran yet; from the last edge to the end the counter has not moved yet.
    since = max(read.start, min(read.last[0], read.end - _LEAST_TAIL))
    joules += _mean_watts(read.watts, since, read.end, mean) * tail - idle * (read.start - read.first[0])
    notes = list(_warnings(read, seconds, joules, sampled))
    method = "energy counter"
    if resets:
        method += f", {resets} reset(s) bridged by sampled watts"
    watts = joules / seconds
    error = (2 * read.slack + _spread(inside) * abs(tail) + bridged) / seconds
    return Energy(seconds, joules, watts, peak, read.idle_watts, method, error, tuple(notes))


def _counted(read: Readings, first: Point, last: Point) -> tuple[float, int, float]:
    """The counter's rise from its first to its last edge, how often it was reset, and seconds that nobody counted."""
    points = [first, *(p for p in read.joules if first[0] < p[0] < last[0]), last]
    total, counted, gaps = 0.0, 0.0, list[Point]()
    for (then, before), (now, after) in pairwise(points):
        rise = after - before if after >= before or read.wraps_at is None else after - before + read.wraps_at
        if rise >= 0:
            total, counted = total + rise, counted + now - then
        else:
            gaps.append((then, now))
    mean = total / counted if counted else 0.0
    total += sum(_mean_watts(read.watts, start, end, mean) * (end - start) for start, end in gaps)
    return total, len(gaps), len(gaps) * (read.period or 0.0)


def _warnings(read: Readings, seconds: float, joules: float, sampled: Reading[float]) -> Sequence[str]:
    short = too_short(seconds, read.period)
    notes = [] if short is None else [short]
    if not isinstance(sampled, Missing) and joules > 0 and abs(sampled / joules - 1) > DISAGREE:
        notes.append(
            f"the counter and the sampled watts disagree: {joules:.1f} J and {sampled:.1f} J. "
            f"Some GPUs sample their power a quarter of the time."
        )
    return notes


def _integrated(read: Readings) -> Reading[float]:
    """Sampled watts over the window: between two samples a straight line, beyond them the nearest."""
    inside = [p for p in read.watts if read.start < p[0] < read.end]
    if len(inside) < 2:
        return read.unsampled
    points = [_watts_at(read.watts, read.start), *inside, _watts_at(read.watts, read.end)]
    return sum((b - a) * (p + q) / 2 for (a, p), (b, q) in pairwise(points))


def _watts_at(samples: Sequence[Point], at: float) -> Point:
    before = [p for p in samples if p[0] <= at] or [(at, samples[0][1])]
    after = [p for p in samples if p[0] >= at] or [(at, samples[-1][1])]
    (t0, w0), (t1, w1) = before[-1], after[0]
    return at, w0 if t1 == t0 else w0 + (w1 - w0) * (at - t0) / (t1 - t0)


def _mean_watts(samples: Sequence[Point], start: float, end: float, otherwise: float) -> float:
    inside = [w for at, w in samples if start <= at <= end]
    return sum(inside) / len(inside) if inside else otherwise


def _spread(samples: Sequence[Point]) -> float:
    """How far watts are from their mean, relative: how wrong a guess of what was not sampled may be."""
    watts = [w for _, w in samples]
    mean = sum(watts) / len(watts) if watts else 0.0
    if mean == 0:
        return 1.0
    return (sum((w - mean) ** 2 for w in watts) / len(watts)) ** 0.5 / mean


def _step(samples: Sequence[Point]) -> float:
    return max((b - a for (a, _), (b, _) in pairwise(samples)), default=0.0)
