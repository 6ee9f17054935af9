"""The files of a study of vision transformers: raw runs, attempts, and a summary that knows when it is stale."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.records.files import content_of, read_run, write_report, write_run
from pytest_gpuperf.records.model import Run
from pytest_gpuperf.records.render import render_record
from pytest_gpuperf.records.vit_space import VitCase
from pytest_gpuperf.records.vit_study import ATTEMPTS, RAW, SUMMARY, VIT_STUDY, Attempt, VitStudy

_NAME = re.compile(r"(.+)\.([1-9]\d*)\.json")
_ENCODER = msgspec.json.Encoder(order="deterministic")
_ATTEMPT = msgspec.json.Decoder(Attempt)


@dataclass(frozen=True)
class RawRun:
    """One raw file."""

    file: str  # from the study's folder
    parameters: str  # of its case, as it is named
    number: int  # of the session
    run: Run


def raw_path(folder: Path, case: VitCase, number: int) -> Path:
    """Where session `number` of a case is kept."""
    return folder / RAW / f"{case.parameters}.{number}.json"


def keep_session(folder: Path, case: VitCase, number: int, run: Run) -> None:
    """It is done: from here on no kill loses it."""
    write_run(raw_path(folder, case, number), run)


def raw_runs(folder: Path) -> list[RawRun]:
    """Every raw file, by name; `FileError` for one that is none of a study's."""
    found: list[RawRun] = []
    for path in _raw_files(folder):
        named = _NAME.fullmatch(path.name)
        if named is None:
            raise FileError(f"{path}: raw files are named CASE.N.json, and this is not. Move it away.")
        found.append(RawRun(f"{RAW}/{path.name}", named[1], int(named[2]), read_run(path)))
    return found


def attempts_of(folder: Path) -> list[Attempt]:
    """What was tried. A last line that is not whole was being written when its process was killed."""
    path = folder / ATTEMPTS
    if not path.exists():
        return []
    content = content_of(path)
    found: list[Attempt] = []
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), 1):
        try:
            found.append(_ATTEMPT.decode(line))
        except (msgspec.DecodeError, ValueError) as error:
            raise FileError(f"{path}: line {number} cannot be read: {error}. Move the file away.") from None
    return found


def keep_attempt(folder: Path, attempt: Attempt) -> None:
    """Add it, in place of a line that a kill left unfinished."""
    path = folder / ATTEMPTS
    try:
        with path.open("a+b") as file:
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            file.write(_ENCODER.encode(attempt) + b"\n")
    except OSError as error:
        raise FileError(
            f"{path}: cannot be written: {error.strerror}. Make room, and start the command again."
        ) from None


def write_summary(folder: Path, study: VitStudy) -> None:
    """Replace the summary."""
    write_report(folder / SUMMARY, render_record(study))


def is_summary(raw: bytes) -> bool:
    """Whether these bytes say that they are one."""
    try:
        return msgspec.json.decode(raw, type=_Header).format == VIT_STUDY
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False


def read_summary(path: str | os.PathLike[str]) -> VitStudy:
    """A summary that is of the files beside it; a stale one is refused, with what differs."""
    study = _read(Path(path))
    differences = stale(study, Path(path).parent)
    if differences:
        raise FileError(
            f"{os.fspath(path)}: this summary is not of the files beside it: {_listed(differences)}. "
            f"Make it again from them: gpuperf study vit --budget 0 --into {Path(path).parent}"
        )
    return study


def earlier_differences(folder: Path) -> str | None:
    """In what the summary that stands there differs from its files; None where it is of them, or there is none."""
    path = folder / SUMMARY
    if not path.exists():
        return None
    try:
        differences = stale(_read(path), folder)
    except FileError as error:
        return str(error)
    return _listed(differences) if differences else None


def stale(study: VitStudy, folder: Path) -> list[str]:
    """What changed since the summary was made, a phrase each."""
    there = hashes(folder)
    known = {source.file: source.sha256 for source in study.sources}
    return [
        *(f"{file} is missing" for file in known if file not in there),
        *(f"{file} has changed" for file in known if file in there and there[file] != known[file]),
        *(f"{file} is new" for file in there if file not in known),
    ]


def hashes(folder: Path) -> Mapping[str, str]:
    """Of every file that a summary is made from."""
    attempts = [folder / ATTEMPTS] if (folder / ATTEMPTS).exists() else []
    return {
        path.relative_to(folder).as_posix(): sha256(content_of(path)).hexdigest()
        for path in [*_raw_files(folder), *attempts]
    }


def _read(path: Path) -> VitStudy:
    try:
        return msgspec.json.decode(content_of(path), type=VitStudy)
    except (msgspec.DecodeError, ValueError) as error:
        raise FileError(
            f"{path}: is no summary of a study: {error}. Make one with: gpuperf study vit --into DIR"
        ) from None


def _raw_files(folder: Path) -> Iterator[Path]:
    yield from sorted((folder / RAW).glob("*.json"))


def _listed(differences: Sequence[str], most: int = 5) -> str:
    more = f", and {len(differences) - most} more" if len(differences) > most else ""
    return ", ".join(differences[:most]) + more


class _Header(msgspec.Struct):
    format: str = ""
