"""The journal of a long run: a line for each thing that happened, so that a kill at any moment loses what was not done.

A line is written whole and at once. What stands behind the last whole line was being written when its process was
killed, and is dropped by the next one. Only one process writes at a time.
"""

from __future__ import annotations

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.records.energy_score import Head, Line, Query
from pytest_gpuperf.records.files import NO_LOCKS
from pytest_gpuperf.records.units import many

_BEGINS = b'{"line":"head","format":"gpuperf-energy-score"'
_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER = msgspec.json.Decoder(Line)


@dataclass
class Journal:
    """An open journal, which belongs to this process."""

    path: Path
    lines: list[Line]
    queries: int  # that are answered
    _file: BinaryIO = field(repr=False)

    def add(self, line: Line) -> None:
        """It has happened."""
        try:
            self._file.write(_encoded(line))
            self._file.flush()
        except OSError as error:
            raise FileError(
                f"{self.path}: cannot be written: {error.strerror}. {kept(self.queries)}. "
                f"Make room, and go on with the same command."
            ) from None
        self.lines.append(line)
        self.queries += isinstance(line, Query)


def kept(queries: int) -> str:
    """``1 query is kept``."""
    return f"{many(queries, 'query')} {'is' if queries == 1 else 'are'} kept"


@contextmanager
def open_journal(path: Path, head: Head) -> Generator[Journal]:
    """Go on with the journal of this very run, or begin it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror}. Give another folder: --into DIR") from None
    with file:
        _lock(path, file)
        file.seek(0)
        content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        lines = _read(path, whole, content)
        if lines:
            _refuse_another(path, lines[0], head)
        file.truncate(len(whole))
        journal = Journal(path, lines, sum(isinstance(line, Query) for line in lines), file)
        if not lines:
            journal.add(head)
        yield journal


def _lock(path: Path, file: BinaryIO) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FileError(
            f"{path}: another process is at work on this journal. Let it end, or give this run another folder: "
            f"--into DIR"
        ) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


def _read(path: Path, whole: bytes, content: bytes) -> list[Line]:
    begun = content[: len(_BEGINS)]
    if not _BEGINS.startswith(begun):
        raise FileError(f"{path}: this is no journal of an energy score. Give another folder: --into DIR")
    lines: list[Line] = []
    answered = 0
    for number, text in enumerate(whole.splitlines(), 1):
        try:
            line = _DECODER.decode(text)
        except (msgspec.DecodeError, ValueError) as error:
            raise FileError(
                f"{path}: line {number} cannot be read: {error}. Move the file away, or give another folder: --into DIR"
            ) from None
        if isinstance(line, Head) != (number == 1):
            raise FileError(f"{path}: line {number}: the first line, and only that, is a head. Give another folder.")
        if isinstance(line, Query):
            head = lines[0]
            assert isinstance(head, Head)
            expected = divmod(answered, head.asked.queries)
            if (line.run - 1, line.number - 1) != expected:
                raise FileError(
                    f"{path}: line {number}: query {line.number} of run {line.run} stands where query "
                    f"{expected[1] + 1} of run {expected[0] + 1} belongs. Move the file away, or give another folder: "
                    f"--into DIR"
                )
            answered += 1
        lines.append(line)
    return lines


def _refuse_another(path: Path, there: Line, here: Head) -> None:
    assert isinstance(there, Head)
    old, new = _facts(there), _facts(here)
    differ = [
        f"{name} {old.get(name, 'none')} there, {new.get(name, 'none')} here"
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]
    if differ:
        raise FileError(
            f"{path}: this is the journal of another run: {'; '.join(differ)}. It is left as it is. Give this run a "
            f"folder of its own: --into DIR"
        )


def _facts(head: Head) -> dict[str, str]:
    """Everything that identifies it, by name."""
    device: dict[str, object] = msgspec.to_builtins(head.environment.device)
    asked: dict[str, object] = msgspec.to_builtins(head.asked)
    facts = {**asked, **{f"device's {name}": value for name, value in device.items()}, **head.environment.software}
    return {name.replace("_", " "): str(value) for name, value in facts.items()}


def _encoded(line: Line) -> bytes:
    return _ENCODER.encode(line) + b"\n"
