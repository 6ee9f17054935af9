"""One file a back end: written at once, read strictly."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.results.files import content_of, write_report
from pytest_gpuperf.results.rendering import RUN_DIGITS, rounded
from pytest_gpuperf.results.study import BackendStudy


def write_study(path: Path, study: BackendStudy) -> None:
    """Keep one back end's part of a study."""
    plain = {"format": study.format, "version": study.version, **msgspec.to_builtins(study, order="deterministic")}
    write_report(path, msgspec.json.format(msgspec.json.encode(rounded(plain, RUN_DIGITS)), indent=1).decode() + "\n")


def read_study(path: str | os.PathLike[str]) -> BackendStudy:
    """What stands in the file; `FileError` for whatever else it may be."""
    try:
        return msgspec.json.decode(content_of(path), type=BackendStudy)
    except (msgspec.DecodeError, ValueError) as error:
        raise FileError(
            f"{os.fspath(path)}: is no study of a serving back end: {error}. Make one with: gpuperf serve-study"
        ) from None
