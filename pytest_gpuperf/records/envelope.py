"""How records are wrapped in a file: which kind it is, and in which version of the format."""

from __future__ import annotations

from typing import Literal

from pytest_gpuperf.records.model import Baseline, Run

VERSION = 3  # written; 1 and 2 lack fields that may be missing, so they are read as they stand
RUN = "gpuperf-run"
BASELINE = "gpuperf-baseline"


class RunFile(Run, frozen=True, kw_only=True):
    """A run as it stands in a file."""

    format: Literal["gpuperf-run"]
    version: Literal[1, 2, 3]

    def content(self) -> Run:
        return Run(
            environment=self.environment,
            sessions=self.sessions,
            scope=self.scope,
            confirmation=self.confirmation,
            beside=self.beside,
            cases=self.cases,
        )


class BaselineFile(Baseline, frozen=True, kw_only=True):
    """A baseline as it stands in a file."""

    format: Literal["gpuperf-baseline"]
    version: Literal[1, 2, 3]

    def content(self) -> Baseline:
        return Baseline(
            provenance=self.provenance,
            source=self.source,
            environment=self.environment,
            sessions=self.sessions,
            cases=self.cases,
        )
