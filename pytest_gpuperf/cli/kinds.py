"""Reading a file that may be a run or a baseline."""

from __future__ import annotations

from pathlib import Path

from pytest_gpuperf.results.decoding import kind_of
from pytest_gpuperf.results.envelope import BASELINE
from pytest_gpuperf.results.files import read_baseline, read_run
from pytest_gpuperf.results.records import Baseline, Run


def read_either(path: str) -> Run | Baseline:
    """What the file holds; whatever else it may be, the reader of runs says what is wrong with it."""
    return read_baseline(path) if _kind(path) == BASELINE else read_run(path)


def _kind(path: str) -> str | None:
    try:
        with Path(path).open("rb") as file:
            return kind_of(file.read())
    except (OSError, ValueError):
        return None
