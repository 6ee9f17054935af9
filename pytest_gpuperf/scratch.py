"""Temporary folders that do not stay: one is gone when its maker ends, and if that was killed, when the next is made.

gpuperf-KIND-UID-xxxx/
└── lock        held as long as its maker lives: a folder whose lock nobody holds was left by one that was killed
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from pytest_gpuperf.endings import undisturbed

_MADE_WITHIN = 3600  # seconds between a new folder and its lock, generously


def _nothing(_: Path) -> None:
    """Nothing has to end before the folder goes."""


def cache_folder() -> Path:
    """Where this user keeps what can be made again. Everything in it may be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pytest-gpuperf"


@contextmanager
def scratch_folder(
    kind: str, above: Path | None = None, *, clear: Callable[[Path], None] = _nothing
) -> Generator[Path]:
    """A new private folder. Before it is removed, `clear` gets it; so it does with folders that killed makers left."""
    above = above or Path(tempfile.gettempdir()).resolve()
    sweep(kind, above, clear)
    place = Path(tempfile.mkdtemp(prefix=_prefix(kind), dir=above))
    try:
        with (place / "new").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (place / "new").rename(place / "lock")  # now that it is held: who sees it free may clear the folder
            yield place
    finally:
        with undisturbed():
            clear(place)
            _remove(place)


def sweep(kind: str, above: Path, clear: Callable[[Path], None] = _nothing) -> None:
    """Clear what killed makers left. Anybody may write to the temporary folder: only what is ours counts."""
    for place in above.glob(f"{_prefix(kind)}*"):
        with suppress(OSError):  # gone meanwhile, or held: its maker lives
            if _ours(place.lstat(), stat.S_IFDIR | stat.S_IRWXU):
                _clear_left(place, clear)


def _clear_left(place: Path, clear: Callable[[Path], None]) -> None:
    try:
        lock = os.open(place / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:  # killed before it had a lock, or being made this moment
        if time.time() - place.lstat().st_mtime > _MADE_WITHIN:
            _remove(place)
        return
    try:
        if _ours(os.fstat(lock), stat.S_IFREG):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            clear(place)
            _remove(place)
    finally:
        os.close(lock)


def _ours(status: os.stat_result, mode: int) -> bool:
    """Whether it belongs to this user and is of that kind; for a folder, as private as it was made."""
    actual = status.st_mode if stat.S_ISDIR(mode) else stat.S_IFMT(status.st_mode)
    return status.st_uid == os.getuid() and actual == mode


def _prefix(kind: str) -> str:
    return f"gpuperf-{kind}-{os.getuid()}-"


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
