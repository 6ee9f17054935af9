"""The temporary folder of one comparison, and everything that runs in it: both are gone afterwards, however it ends.

    gpuperf-ab-UID-xxxx/
    ├── lock
    ├── base/       one side's files
    └── head/

Every process started here carries the folder's path in its environment, and its children inherit it: that is how strays
are recognized, and never by a process id, which may be another's by now.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pytest_gpuperf.endings import ending_in_order
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.scratch import scratch_folder

VARIABLE = "GPUPERF_AB_PLACE"
_GONE_WITHIN = 5.0  # seconds after SIGKILL


@contextmanager
def workplace(repository: Path) -> Generator[Path]:
    """A new folder outside the repository. Whatever happens, it and every process started in it are gone afterwards."""
    with ending_in_order(), scratch_folder("ab", _outside(repository), clear=end_processes) as place:
        yield place


def end_processes(place: Path) -> None:
    """Kill every process that was started for this place, or by one that was."""
    give_up = time.monotonic() + _GONE_WITHIN
    while (strays := list(_processes(place))) and time.monotonic() < give_up:
        for pid in strays:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _processes(place: Path) -> Iterator[int]:
    mark = f"{VARIABLE}={place}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):  # another user's, or gone meanwhile; a zombie's is empty
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)


def _outside(repository: Path) -> Path:
    """Inside the repository pytest would find its settings and its conftest files above ours."""
    for above in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):  # noqa: S108 - the folder is made private
        if above.is_dir() and not above.resolve().is_relative_to(repository.resolve()):
            return above.resolve()
    raise UsageError(
        f"Every temporary folder lies inside {repository}, where the two revisions would find each other's files. "
        f"Point TMPDIR elsewhere: TMPDIR=~/tmp gpuperf ab ..."
    )
