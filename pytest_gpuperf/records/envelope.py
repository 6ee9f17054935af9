"""How records are wrapped in a file: which kind it is, and in which version of the format."""

from __future__ import annotations

from typing import Any, Literal

from pytest_gpuperf.records.fields import Record
from pytest_gpuperf.records.model import Baseline, Run

VERSION = 3  # written; 1 and 2 lack fields that may be missing, so they are read as they stand
RUN = "gpuperf-run"
BASELINE = "gpuperf-baseline"


class RunFile(Run, frozen=True, kw_only=True):
    """A run as it stands in a file."""

    format: Literal["gpuperf-run"]
    version: Literal[1, 2, 3]

    def content(self) -> Run:
        return Run(**_fields_of(self, Run))


class BaselineFile(Baseline, frozen=True, kw_only=True):
    """A baseline as it stands in a file."""

    format: Literal["gpuperf-baseline"]
    version: Literal[1, 2, 3]

    def content(self) -> Baseline:
        return Baseline(**_fields_of(self, Baseline))


def _fields_of(file: Record, record: type[Record]) -> dict[str, Any]:
    """Those of the record: all but the file's own two."""
    return {name: getattr(file, name) for name in record.__struct_fields__}
