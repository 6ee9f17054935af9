"""Real servers for tests. Without a Triton they skip, or fail where GPUPERF_REQUIRE_TRITON is set."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_gpuperf.errors import MissingError
from pytest_gpuperf.serving import triton

REQUIRE = "GPUPERF_REQUIRE_TRITON"


def require_triton() -> None:
    """Skip, or fail, with the command that installs one."""
    try:
        triton.find()
    except MissingError as error:
        (pytest.fail if os.environ.get(REQUIRE) else pytest.skip)(str(error))


def running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def group(leader: int) -> list[int]:
    """The processes of a group that run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == leader and fields[0] not in {"Z", "X"}:
            found.append(int(stat.parent.name))
    return found


def gone(pids: Sequence[int]) -> bool:
    """Whether all of them end soon."""
    end = time.monotonic() + 10
    while any(map(running, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(running, pids))


def regions(text: str) -> list[Path]:
    """What is left in shared memory of a name."""
    return [p for p in Path("/dev/shm").iterdir() if re.search(text, p.name)]
