"""What can be wrong with a file, said with its path, the place in it, and the way out."""

from __future__ import annotations

import msgspec

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.results.envelope import BASELINE, RUN

_WAY_OUT = {
    RUN: "Record it again with: pytest --gpuperf-save {path}",
    BASELINE: "Restore it (git checkout -- {path}), or move it away and record a new one with: "
    "gpuperf calibrate --sessions 5 --into {path}",
}


def shown(value: object) -> str:
    """A value of the file as it would stand there, in one line of bearable length."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 200 else f"{text[:200]}..."


def member(place: str, key: str) -> str:
    """The JSON path of a value in an object."""
    return f"{place}.{key}" if key.isidentifier() else f"{place}[{shown(key)}]"


class Flaw(Exception):  # noqa: N818 - it never leaves this room; `FileError` does
    """Something wrong at one place of a file."""

    def __init__(self, place: str, what: str, way_out: str | None = None) -> None:
        super().__init__(place, what, way_out)
        self.place = place  # JSON path: "$.cases[12].series[3].medians[1]"
        self.what = what
        self.way_out = way_out

    def in_file(self, path: str, kind: str) -> FileError:
        """The error a user sees. What is wrong with the file as a whole needs no place in it."""
        place = self.place.removeprefix("$").removeprefix(".")
        where = path if place in {"", "format", "version"} else f"{path}: {place}"
        return FileError(f"{where}: {self.what}. {(self.way_out or _WAY_OUT[kind]).format(path=path)}")
