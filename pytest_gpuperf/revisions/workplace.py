"""The temporary folder of one comparison, and everything that runs in it: both are gone afterwards, however it ends.

    gpuperf-ab-UID-xxxx/
    ├── lock        held as long as its conductor lives: what is not held was left by one that was killed
    ├── base/       one side's files
    └── head/

Every process started here carries the folder's path in its environment, and its children inherit it: that is how strays
are told, and never by a process id that may be another's by now.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from pytest_gpuperf.errors import UsageError

VARIABLE = "GPUPERF_AB_PLACE"
_ENDED_BY = (signal.SIGTERM, signal.SIGHUP)
_GONE_WITHIN = 5.0  # seconds after SIGKILL
_MADE_WITHIN = 3600  # seconds between a new folder and its lock, generously


class Ended(KeyboardInterrupt):
    """The process was asked to end: it cleans up as after Ctrl-C."""


@contextmanager
def workplace(repository: Path) -> Generator[Path]:
    """A new folder outside the repository. Whatever happens, it and every process started in it are gone afterwards."""
    above = _outside(repository)
    sweep(above)
    with _ending_in_order():
        place = Path(tempfile.mkdtemp(prefix=_prefix(), dir=above))
        try:
            with (place / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield place
        finally:
            with _undisturbed():
                end_processes(place)
                _remove(place)


def sweep(above: Path) -> None:
    """Clear what killed conductors left. Anybody may write to the temporary folder: only what is ours counts."""
    for place in above.glob(f"{_prefix()}*"):
        with suppress(OSError):  # gone meanwhile, or held: its conductor lives
            if _ours(place.lstat(), stat.S_IFDIR | stat.S_IRWXU):
                _clear_left(place)


def _clear_left(place: Path) -> None:
    try:
        lock = os.open(place / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:  # killed before it had a lock, or being made this moment
        if time.time() - place.lstat().st_mtime > _MADE_WITHIN:
            _remove(place)
        return
    try:
        if _ours(os.fstat(lock), stat.S_IFREG):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            end_processes(place)
            _remove(place)
    finally:
        os.close(lock)


def _ours(found: os.stat_result, mode: int) -> bool:
    """Whether it belongs to this user and is of that kind; for a folder, as private as it was made."""
    told = found.st_mode if stat.S_ISDIR(mode) else stat.S_IFMT(found.st_mode)
    return found.st_uid == os.getuid() and told == mode


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


def _prefix() -> str:
    return f"gpuperf-ab-{os.getuid()}-"


def _outside(repository: Path) -> Path:
    """Inside the repository pytest would find its settings and its conftest files above ours."""
    for above in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):  # noqa: S108 - mkdtemp makes it private
        if above.is_dir() and not above.resolve().is_relative_to(repository.resolve()):
            return above.resolve()
    raise UsageError(
        f"Every temporary folder lies inside {repository}, where the two revisions would find each other's files. "
        f"Point TMPDIR elsewhere: TMPDIR=~/tmp gpuperf ab ..."
    )


def _remove(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    if os.path.lexists(place):  # a folder that may not be written to keeps its files
        with suppress(OSError):
            _open_folders(str(place), None)
        shutil.rmtree(place, ignore_errors=True)


def _open_folders(name: str, above: int | None) -> None:
    """Make real folders writable, so that what is in them can go; no link is followed.

    Files stay as they are: removing one asks for a writable folder only, and it may have another name elsewhere.
    """
    folder = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        itself = f"/proc/self/fd/{folder}"
        os.chmod(itself, stat.S_IRWXU)  # noqa: PTH101 - what was opened, and not what has its name now
        with os.scandir(itself) as entries:
            inside = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        for each in inside:
            with suppress(OSError):
                _open_folders(each, folder)
    finally:
        os.close(folder)


@contextmanager
def _ending_in_order() -> Generator[None]:
    """Being asked to end is an exception here, so that what must be cleaned up is."""

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's
        raise Ended(signal.Signals(number).name)

    before = {number: signal.signal(number, end) for number in _numbers(*_ENDED_BY)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _numbers(*numbers: signal.Signals) -> tuple[signal.Signals, ...]:
    """Those that may be handled: in another thread than the main one, none."""
    return numbers if threading.current_thread() is threading.main_thread() else ()


@contextmanager
def _undisturbed() -> Generator[None]:
    """A second Ctrl-C does not stop the clearing up, which takes a moment."""
    numbers = _numbers(signal.SIGINT, *_ENDED_BY)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
