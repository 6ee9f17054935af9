"""The files of studies: one JSON file a back end, read strictly."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.records.files import content_of, write_report
from pytest_gpuperf.records.render import render_record
from pytest_gpuperf.records.study import BackendStudy
from pytest_gpuperf.records.text_study import TextStudy

Study = TypeVar("Study", BackendStudy, TextStudy)


def write_study(path: Path, study: BackendStudy | TextStudy) -> None:
    """Keep one back end's part of a study."""
    write_report(path, render_record(study))


def read_study(path: str | os.PathLike[str]) -> BackendStudy:
    """What stands in the file; `FileError` for whatever else it may be."""
    return _read(path, BackendStudy, "a serving back end", "gpuperf serve-study")


def read_text_study(path: str | os.PathLike[str]) -> TextStudy:
    """The same of a language model's server."""
    return _read(path, TextStudy, "a language model's server", "gpuperf serve-study text")


def _read(path: str | os.PathLike[str], kind: type[Study], what: str, command: str) -> Study:
    try:
        return msgspec.json.decode(content_of(path), type=kind)
    except (msgspec.DecodeError, ValueError) as error:
        raise FileError(f"{os.fspath(path)}: is no study of {what}: {error}. Make one with: {command}") from None
