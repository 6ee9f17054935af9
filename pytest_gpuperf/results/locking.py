"""One writer at a time: the system's lock on a file beside the target, freed by the system when a process dies.

Some network file systems know no locks. There two writers at once may lose what one of them wrote, but never leave half
of it: to write nothing at all would be worse.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


@contextmanager
def locked(target: Path) -> Generator[None]:
    """Hold the lock of a file. Nothing is left behind; a lock file that a killed process left is simply used."""
    name = target.with_name(f".{target.name}.lock")
    fd = _acquire(name)
    try:
        yield
    finally:
        with suppress(OSError):  # the lock is the system's, not the file's existence
            name.unlink()  # while it is held: who waits for it sees below that it is gone
        os.close(fd)


def _acquire(name: Path) -> int:
    while True:
        fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _lock(fd, name)
            if _is(name, fd):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # its holder removed the file that we waited for: lock the one that stands there now


def _lock(fd: int, name: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"gpuperf: waiting for another process that writes beside {name} ...", file=sys.stderr, flush=True)
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _is(name: Path, fd: int) -> bool:
    try:
        return os.path.samestat(name.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
