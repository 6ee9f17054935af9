"""Recording a suite in several fresh processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_gpuperf.results.records import Run
from pytest_gpuperf.sessions.process import run_session

Progress = Callable[[int, int, float], None]  # sessions done, sessions wanted, seconds so far


def calibrate(
    sessions: int, arguments: Sequence[str], *, directory: Path | None = None, progress: Progress | None = None
) -> list[Run]:
    """Run the suite in that many fresh processes, one after the other."""
    started = time.monotonic()
    runs: list[Run] = []
    for number in range(sessions):
        # A baseline keeps one profile of each case: the last session's.
        runs.append(run_session(arguments, profiles=number == sessions - 1, directory=directory))
        if progress is not None:
            progress(number + 1, sessions, time.monotonic() - started)
    return runs
