"""Reading a file that may be a run or a baseline."""

from __future__ import annotations

from pathlib import Path

from pytest_gpuperf.results.decoding import kind_of
from pytest_gpuperf.results.envelope import RUN
from pytest_gpuperf.results.files import read_baseline, read_run
from pytest_gpuperf.results.records import Baseline, Run


def read_either(path: str) -> Run | Baseline:
    """What the file holds; whatever else it may be, the reader of baselines says what is wrong with it."""
    return read_run(path) if kind_at(path) == RUN else read_baseline(path)


def kind_at(path: str) -> str | None:
    """What the file says it is; None where it cannot be read or is no file of ours."""
    try:
        with Path(path).open("rb") as file:
            return kind_of(file.read())
    except (OSError, ValueError):
        return None
