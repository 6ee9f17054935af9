"""A run with its verdicts: what every report is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

from pytest_gpuperf.comparison.findings import Comparison, Finding, Rules
from pytest_gpuperf.records.model import Case, Run

GRAVEST_FIRST = (1, 6, 7)
PINNED_RULES = Rules(allow_missing=True, min_decided=0)  # a reference need not know every case


class _OfTest(Protocol):
    @property
    def test(self) -> str: ...


T = TypeVar("T", bound=_OfTest)


@dataclass(frozen=True)
class JudgedRun:
    """One run, judged against its baseline, and against a pinned reference where one was given."""

    run: Run
    comparison: Comparison
    reference: Comparison | None = None
    trouble: tuple[str, ...] = ()  # why it fails, beyond what was compared, a sentence each

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Against the baseline, then against the reference."""
        return (self.comparison, self.reference) if self.reference else (self.comparison,)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it fails, a sentence each; empty where it does not."""
        since = self.reference
        crept = [f"Against the reference {since.baseline}: {p}" for p in since.problems] if since else []
        return (*self.comparison.problems, *crept, *self.trouble)

    @property
    def exit_code(self) -> int:
        """The gravest of the comparisons', and of what else is wrong."""
        codes = {c.exit_code for c in self.comparisons} | ({1} if self.trouble else set[int]())
        return next((code for code in GRAVEST_FIRST if code in codes), 0)

    def cases_of(self, test: str) -> Sequence[Case]:
        """What a test measured."""
        return self._cases.get(test, ())

    def findings_of(self, test: str) -> Sequence[Finding]:
        """What that was judged to be, against the baseline."""
        return self._findings.get(test, ())

    @cached_property
    def _cases(self) -> Mapping[str, Sequence[Case]]:
        return _by_test(self.run.cases)

    @cached_property
    def _findings(self) -> Mapping[str, Sequence[Finding]]:
        return _by_test(self.comparison.findings)


def _by_test(things: Iterable[T]) -> Mapping[str, Sequence[T]]:
    found: dict[str, list[T]] = {}
    for thing in things:
        found.setdefault(thing.test, []).append(thing)
    return found
