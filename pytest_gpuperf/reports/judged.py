"""A run with its verdicts: what every report is made from."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_gpuperf.analysis.comparison import Comparison
from pytest_gpuperf.results.records import Run

CREPT = 1


@dataclass(frozen=True)
class Judged:
    """One run, judged against its baseline, and against a pinned reference where one was given."""

    run: Run
    comparison: Comparison
    reference: Comparison | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it fails, a sentence each; empty where it does not."""
        return self.comparison.problems + creep(self.reference)

    @property
    def exit_code(self) -> int:
        """The comparison's, unless the suite crept away from its reference: that comes before "too little"."""
        own = self.comparison.exit_code
        return own if own == CREPT or not creep(self.reference) else CREPT


def creep(reference: Comparison | None) -> tuple[str, ...]:
    """Why a run fails against its reference: only what regressed; a reference need not know every case."""
    if reference is None:
        return ()
    regressed = sum(f.fails for f in reference.findings)
    said: list[str] = []
    if regressed:
        said.append(
            f"{regressed} of {len(reference.findings)} figures regressed since the reference {reference.baseline}: "
            f"losses that were accepted one by one have added up."
        )
    if reference.suite is not None and reference.suite.word == "regressed":
        said.append(f"The suite as a whole regressed since the reference {reference.baseline}.")
    return tuple(said)
