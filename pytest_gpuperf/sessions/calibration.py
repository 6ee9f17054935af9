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
    until: float = 0.0  # recording ends when every case can tell this
    seconds: float | None = None  # beyond `least`, no session begins that would end later

    def ended(self, margins: Sequence[float], elapsed: float, longest: float) -> Ended | None:
        """Why recording ends, or None to go on. `margins`: what the worst case could tell after each session."""
        count = len(margins)
        if count < self.least:
            return None
        if margins[-1] <= self.until:
            return "told"
        if count >= self.most:
            return "most"
        if is_steady(margins):
            return "steady"
        if self.seconds is not None and elapsed + longest > self.seconds:
            return "time"
        return None


def is_steady(margins: Sequence[float]) -> bool:
    """Whether more sessions stopped helping: the margin moved by no more than a tenth over the last three."""
    recent = margins[-_LOOKED_BACK - 1 :]
    return len(recent) > _LOOKED_BACK and max(recent) < inf and max(recent) * _STEADY <= min(recent)


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
    margins: list[float] = []
    elapsed = longest = 0.0
    while True:
        try:
            # A baseline keeps one profile of each case: the first session's, since nobody knows which is the last.
            runs.append(run_session(arguments, profiles=not runs, directory=directory))
        except SessionError as error:
            return Calibration(runs, elapsed, error)
        margins.append(worst(runs))
        before, elapsed = elapsed, time.monotonic() - started
        longest = max(longest, elapsed - before)
        progress(len(runs), elapsed, margins[-1])
        ended = plan.ended(margins, elapsed, longest)
        if ended is not None:
            return Calibration(runs, elapsed, ended)
