"""Run and baseline files: strict to read, atomic to write, locked to change."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.results.decoding import decode_baseline, decode_run, kind_of
from pytest_gpuperf.results.envelope import BASELINE, RUN
from pytest_gpuperf.results.locking import locked
from pytest_gpuperf.results.problems import Flaw
from pytest_gpuperf.results.records import Baseline, Run
from pytest_gpuperf.results.rendering import render_baseline, render_run
from pytest_gpuperf.results.writing import replace

REPORT = "gpuperf-report"  # a kind that no file says it is
LARGEST = 2**30  # bytes: ten times a baseline of 50,000 cases

AnyPath = str | os.PathLike[str]
T = TypeVar("T")


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
        raise FileError(f"{name}: there is no such file. {_RECORD[kind].format(path=name)}") from None
    except (OSError, ValueError) as e:  # ValueError: a null character in the path
        raise FileError(f"{name}: it cannot be read: {_reason(e)}. Check the path and its permissions") from None


_RECORD = {
    None: "Check the path",
    RUN: "Record it with: pytest --gpuperf-save {path}",
    BASELINE: "Record it with: gpuperf calibrate --sessions 5 --into {path}",
}


@contextmanager
def _writing(path: AnyPath) -> Generator[Path]:
    """The file behind a path (a link stays a link), locked; trouble of the system told as a `FileError`."""
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
