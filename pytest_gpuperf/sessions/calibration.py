"""Recording a suite in fresh processes, until they tell enough or more of them stop helping."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal

from pytest_gpuperf.errors import SessionError
from pytest_gpuperf.records.model import Run
from pytest_gpuperf.sessions.process import run_session

Ended = Literal["told", "steady", "most", "time"]
Worst = Callable[[Sequence[Run]], float]  # what the worst case can tell after these runs: a fraction
Progress = Callable[[int, float, float], None]  # sessions done, seconds so far, what the worst case can tell

_LOOKED_BACK = 3  # sessions over which the worst case's margin is watched ...
_STEADY = 0.9  # ... and at least so much of itself


@dataclass(frozen=True)
class CalibrationPlan:
    """How many sessions to record."""

    least: int
    most: int
    until: float = 0.0  # every case can tell this: enough
    seconds: float | None = None  # none is begun that would end later, beyond the least

    def ended(self, told: Sequence[float], elapsed: float, longest: float) -> Ended | None:
        """Why no more are recorded, by what the worst case could tell after each session; None: go on."""
        count = len(told)
        if count < self.least:
            return None
        if told[-1] <= self.until:
            return "told"
        if count >= self.most:
            return "most"
        if is_steady(told):
            return "steady"
        if self.seconds is not None and elapsed + longest > self.seconds:
            return "time"
        return None


def is_steady(told: Sequence[float]) -> bool:
    """Whether more sessions stopped helping: the margin moved by no more than a tenth over the last three."""
    seen = told[-_LOOKED_BACK - 1 :]
    return len(seen) > _LOOKED_BACK and max(seen) < inf and max(seen) * _STEADY <= min(seen)


@dataclass(frozen=True)
class Calibration:
    """What was recorded, and why no more."""

    runs: Sequence[Run]
    seconds: float
    ended: Ended | SessionError  # the error: a session failed


def calibrate(
    plan: CalibrationPlan,
    arguments: Sequence[str],
    *,
    worst: Worst,
    progress: Progress,
    directory: Path | None = None,
) -> Calibration:
    """Run the suite in fresh processes, one after the other. What was recorded before one failed is not lost."""
    started = time.monotonic()
    runs: list[Run] = []
    told: list[float] = []
    elapsed = longest = 0.0
    while True:
        try:
            # A baseline keeps one profile of each case: the first session's, since nobody knows which is the last.
            runs.append(run_session(arguments, profiles=not runs, directory=directory))
        except SessionError as error:
            return Calibration(runs, elapsed, error)
        told.append(worst(runs))
        before, elapsed = elapsed, time.monotonic() - started
        longest = max(longest, elapsed - before)
        progress(len(runs), elapsed, told[-1])
        ended = plan.ended(told, elapsed, longest)
        if ended is not None:
            return Calibration(runs, elapsed, ended)
