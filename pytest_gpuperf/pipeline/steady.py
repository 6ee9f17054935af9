"""The stretch of a pipeline's life that its figures are of: filled before, not yet draining, and long enough."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Literal

import numpy as np

from pytest_gpuperf.device.processes import descendants, stat_of
from pytest_gpuperf.gate.median_interval import median_half_width
from pytest_gpuperf.pipeline.buffer import Tally
from pytest_gpuperf.pipeline.line import Line

Ended = Literal["steady", "cap", "source ended"]

FEWEST = 4  # items that have to come out while it is measured
_ENOUGH = 18  # for a figure that is called steady
_PRECISION = 0.01  # half width of the median's 95 % interval
_LEAST_SECONDS = 1.0  # less than this sees one moment of the machine only
_FILLING = 0.5  # share of the budget after which it is measured though its queues may not be full
_LOOK_AGAIN = 1.1  # times the seconds after which steadiness was last computed
_MOST_SAMPLES = 96
_BLOCK = 6  # samples
_UTIME, _STIME = 11, 12  # of what the system says of a process: processor time, in ticks


@dataclass(frozen=True)
class Mark:
    """What had added up at one moment."""

    at: float
    own: float  # processor seconds of this process
    cpu: float  # ... and of those that it started, together
    tallies: tuple[Tally, ...]  # of the queues


class Steady:
    """Looks at a pipeline as it goes, and decides when its figures begin and when there are enough."""

    def __init__(self, line: Line, filled_by: int, budget: float) -> None:
        self._line = line
        self._filled_by = filled_by
        self._budget = budget
        self._opened = perf_counter()
        self._next_look = min(_LEAST_SECONDS, budget / 2)
        self.begin: Mark | None = None
        self.end: Mark | None = None
        self.full = False  # when it began
        self.ended: Ended = "cap"

    def look(self) -> bool:
        """Whether it is enough."""
        line, now = self._line, perf_counter()
        out = len(line.finished.times)
        if self.begin is None:
            self.full = out >= self._filled_by
            if self.full or (out > 1 and now - self._opened > _FILLING * self._budget):
                self.begin = self._mark()
            return False
        if line.source_ended is not None:
            self.close()
            return True
        seconds = now - self.begin.at
        if seconds < self._next_look or len(self.moments(now)) < FEWEST:
            return False
        self._next_look = _LOOK_AGAIN * seconds
        self.ended = "steady" if self._is_steady(now) else "cap"
        if self.ended == "cap" and seconds < self._budget:
            return False
        self.end = self._mark()
        return True

    def close(self) -> None:
        """The source has ended: what came out until then counts."""
        if self.end is None:
            self.ended, self.end = "source ended", self._mark()

    def moments(self, until: float) -> list[tuple[float, float]]:
        """Of the items that came out in the stretch: when they were given, and when they were done."""
        assert self.begin is not None
        return [pair for pair in self._line.finished.times if self.begin.at <= pair[1] <= until]

    def counted(self) -> list[tuple[float, float]]:
        """Those that the figures are of."""
        if self.begin is None or self.end is None:
            return []
        ended = self._line.source_ended
        return self.moments(self.end.at if ended is None else min(ended, self.end.at))

    def _is_steady(self, now: float) -> bool:
        samples = samples_of([done for _, done in self.moments(now)], self._line)
        return len(samples) >= _ENOUGH and median_half_width(samples) <= _PRECISION

    def _mark(self) -> Mark:
        own = process_time()
        return Mark(perf_counter(), own, own + _cpu_of_children(), tuple(b.tally() for b in self._line.buffers))


def samples_of(done: Sequence[float], line: Line) -> tuple[float, ...]:
    """Seconds an item, of consecutive stretches with as many items each: several workers finish in bursts."""
    count = len(done) - 1
    at_once = max(stage.workers for stage in line.stages)
    wanted = max(1, min(max(count // (2 * at_once), min(count, _ENOUGH)), _MOST_SAMPLES))
    ends = np.arange(1, wanted + 1) * count // wanted
    moments = np.asarray(done)[np.concatenate([[0], ends])]
    counts = np.diff(np.concatenate([[0], ends]))
    return tuple(float(s) for s in np.maximum(np.diff(moments), 1e-9) / counts)


def blocks_of(samples: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    """The same, block by block."""
    return tuple(samples[i : i + _BLOCK] for i in range(0, len(samples), _BLOCK))


def _cpu_of_children() -> float:
    """Processor seconds of every process that this one started: workers of a stage, and of a DataLoader."""
    ticks = 0
    for pid in descendants():
        with suppress(OSError, IndexError):  # it may have ended meanwhile
            fields = stat_of(pid)
            ticks += int(fields[_UTIME]) + int(fields[_STIME])
    return ticks / os.sysconf("SC_CLK_TCK")
