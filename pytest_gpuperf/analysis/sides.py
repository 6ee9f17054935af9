"""Two revisions that were measured in turns: what is told beside their verdicts."""

from __future__ import annotations

from pytest_gpuperf.results.records import Record


class Sides(Record, frozen=True, kw_only=True):
    """The two revisions, and what kept tests from being compared."""

    base: str  # "main (1a2b3c4d5e)"
    head: str
    options: tuple[str, ...] = ()  # that `gpuperf ab` was given, and needs again
    launches: int  # pairs of fresh processes; a decided case needed fewer
    seconds: float
    imported: tuple[str, ...] = ()  # which files each side measured, a sentence each
    apart: dict[str, str] = {}  # tests whose sides did not run together -> why
    failed: dict[str, str] = {}  # tests of head that failed, died or hung -> how: the comparison fails
    skipped: dict[str, str] = {}  # tests that head skipped -> why; they vanished, where the base has them
    one_sided: dict[str, str] = {}  # tests that only one side measured -> why: nothing to compare

    @property
    def name(self) -> str:
        """The base, as it was asked for."""
        return self.base.partition(" (")[0]

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the comparison fails, a sentence each."""
        count = len(self.failed)
        return (f"{count} {'test' if count == 1 else 'tests'} failed on {self.head}.",) if count else ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader must know, a sentence each."""
        return (
            *self.imported,
            *(f"sides ran apart: {test} ({why})" for test, why in self.apart.items()),
            *(f"failed: {test} ({why})" for test, why in self.failed.items()),
            *(f"skipped: {test} ({why})" for test, why in self.skipped.items()),
            *(f"not compared: {test} ({why})" for test, why in self.one_sided.items()),
        )
