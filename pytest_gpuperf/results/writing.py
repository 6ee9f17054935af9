"""Replacing a file at once: whoever reads sees the old content or the new one, whatever happens in between."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path


def replace(target: Path, content: bytes) -> None:
    """Write the content beside the target and rename it; the caller holds the target's lock.

    The name of the unfinished file is fixed, so that what a killed writer left is cleared by the next one.
    """
    unfinished = target.with_name(f".{target.name}.tmp")
    with suppress(FileNotFoundError):
        unfinished.unlink()
    try:
        _write(unfinished, content, _mode(target))
        unfinished.replace(target)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
    _sync_folder(target.parent)


def _write(path: Path, content: bytes, mode: int | None) -> None:
    with path.open("xb") as file:  # "x": nobody's link is followed
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _mode(target: Path) -> int | None:
    try:
        return stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        return None


def _sync_folder(folder: Path) -> None:
    """The new name itself must survive a power cut."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
