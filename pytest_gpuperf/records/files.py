"""Run and baseline files: strict to read, atomic to write, locked to change."""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
import stat
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.records.codec import decode_baseline, decode_run, kind_of
from pytest_gpuperf.records.envelope import BASELINE, RUN
from pytest_gpuperf.records.flaws import Flaw
from pytest_gpuperf.records.model import Baseline, Run
from pytest_gpuperf.records.render import render_baseline, render_run

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
REPORT = "gpuperf-report"  # a kind that no file says it is
LARGEST = 2**30  # bytes: ten times a baseline of 50,000 cases
T = TypeVar("T")
_RECORD = {
    None: "Check the path",
    RUN: "Record it with: pytest --gpuperf-save {path}",
    BASELINE: "Record it with: gpuperf calibrate --sessions 5 --into {path}",
}


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
        if error.errno not in NO_LOCKS:
            raise


def _is(name: Path, fd: int) -> bool:
    try:
        return os.path.samestat(name.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


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


AnyPath = str | os.PathLike[str]


def read_run(path: AnyPath) -> Run:
    """The run in a file; `FileError` for whatever else it may be."""
    return _decoded(decode_run, content_of(path, RUN), path, RUN)


def read_baseline(path: AnyPath) -> Baseline:
    """The baseline in a file; `FileError` for whatever else it may be."""
    return _decoded(decode_baseline, content_of(path, BASELINE), path, BASELINE)


def read_either(path: AnyPath) -> Run | Baseline:
    """What a file holds; whatever else it may be, the reader of baselines says what is wrong with it."""
    raw = content_of(path, BASELINE)
    if kind_of(raw) == RUN:
        return _decoded(decode_run, raw, path, RUN)
    return _decoded(decode_baseline, raw, path, BASELINE)


def _decoded(decode: Callable[[bytes], T], raw: bytes, path: AnyPath, kind: str) -> T:
    try:
        return decode(raw)
    except Flaw as flaw:
        raise flaw.in_file(os.fspath(path), kind) from None


def check_writable(path: AnyPath, kind: str) -> None:
    """Refuse what could not be written: better before an hour of measuring than after it."""
    with _writing(path) as target:
        _keep_other_kind(path, target, kind)


def write_run(path: AnyPath, run: Run) -> None:
    """Keep a run, replacing what stood there (but never a baseline)."""
    with _writing(path) as target:
        _keep_other_kind(path, target, RUN)
        replace(target, _checked_run(path, run))


def write_baseline(path: AnyPath, baseline: Baseline) -> None:
    """Keep a baseline, replacing what stood there (but never a run)."""
    with _writing(path) as target:
        _keep_other_kind(path, target, BASELINE)
        replace(target, _checked_baseline(path, baseline))


def write_report(path: AnyPath, text: str) -> None:
    """Keep a report, whole or not at all, but never in place of a run or a baseline."""
    with _writing(path) as target:
        _keep_other_kind(path, target, REPORT)
        replace(target, text.encode())


def update_baseline(path: AnyPath, change: Callable[[Baseline | None], Baseline]) -> Baseline:
    """Change a baseline while nobody else can: `change` gets what is kept, or None. Returns what is kept now."""
    with _writing(path) as target:
        new = change(read_baseline(path) if target.exists() else None)
        content = _checked_baseline(path, new)
        replace(target, content)
        return decode_baseline(content)


def content_of(path: AnyPath, kind: str | None = None) -> bytes:
    """The bytes of a regular file of bearable size; `FileError` for whatever else it may be. None: another tool's."""
    name = os.fspath(path)
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe or a device may never end
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
            raise FileError(f"{name}: this is {what}. Give the path of a file")
        if status.st_size > LARGEST:
            raise FileError(
                f"{name}: it is larger than {LARGEST >> 20} MiB, which no file of gpuperf is. Give another path"
            )
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise FileError(f"{name}: there is no such file. {_RECORD[kind].format(path=shlex.quote(name))}") from None
    except (OSError, ValueError) as e:  # ValueError: a null character in the path
        raise FileError(f"{name}: it cannot be read: {_reason(e)}. Check the path and its permissions") from None


@contextmanager
def _writing(path: AnyPath) -> Generator[Path]:
    """The file behind a path (a link stays a link), locked. An error of the system becomes a `FileError`."""
    target = Path(path)
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            what = "a folder" if target.is_dir() else "no regular file"
            raise FileError(f"{os.fspath(path)}: cannot be written: this is {what}. Give the path of a file.")
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target):
            yield target
    except (OSError, ValueError) as e:
        raise FileError(
            f"{os.fspath(path)}: cannot be written: {_reason(e)}{_culprit(e, target)}. What stood there is unchanged. "
            f"Check that its folder is writable and its disk has room, or give another path."
        ) from None


def _culprit(error: OSError | ValueError, target: Path) -> str:
    """The file or folder that the system named, where it is another one."""
    name = error.filename if isinstance(error, OSError) else None
    return f" ({name})" if name and Path(name).parent != target.parent else ""


def _keep_other_kind(path: AnyPath, target: Path, kind: str) -> None:
    other = kind_of(target.read_bytes()) if target.exists() else kind
    if other not in (kind, None):
        raise FileError(
            f"{os.fspath(path)}: cannot be written: a {other.removeprefix('gpuperf-')} stands there, and a "
            f"{kind.removeprefix('gpuperf-')} would replace it. Give another path, or move that file away."
        )


def _checked_run(path: AnyPath, run: Run) -> bytes:
    """Only what can be read again is written."""
    return _checked(path, lambda: render_run(run), decode_run)


def _checked_baseline(path: AnyPath, baseline: Baseline) -> bytes:
    return _checked(path, lambda: render_baseline(baseline), decode_baseline)


def _checked(path: AnyPath, render: Callable[[], bytes], decode: Callable[[bytes], object]) -> bytes:
    try:
        content = render()
        decode(content)
    except UnicodeEncodeError as e:
        raise FileError(
            f"{os.fspath(path)}: not written: {e.object!r} is no UTF-8 text. Rename that test or file."
        ) from None
    except Flaw as flaw:
        raise FileError(
            f"{os.fspath(path)}: not written, since it could not be read again: {flaw.place}: {flaw.what}. "
            f"Please report this."
        ) from None
    return content


def _reason(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
