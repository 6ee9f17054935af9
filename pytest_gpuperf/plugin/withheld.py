"""Reports that wait for their verdict: every test is reported once, when the suite has been judged.

This leans on `_pytest.runner.runtestprotocol(log=False)`: it runs a test and gives its reports without logging them,
which no public function does. pytest-rerunfailures and others lean on it likewise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from _pytest._code.code import ReprFileLocation, TerminalRepr
from _pytest._io import TerminalWriter
from _pytest.runner import runtestprotocol

STRICT_XPASS = "[XPASS(strict)]"


@dataclass(frozen=True)
class Withheld:
    """One test that ran, and the reports that were not logged yet."""

    item: pytest.Item
    reports: Sequence[pytest.TestReport]

    @classmethod
    def run(cls, item: pytest.Item, nextitem: pytest.Item | None) -> Withheld:
        """Run a test; log nothing."""
        return cls(item, runtestprotocol(item, log=False, nextitem=nextitem))

    @property
    def passed(self) -> bool:
        """Whether every phase passed; a strict xfail that passed is still expected to fail by its verdict."""
        return len(self.reports) == 3 and all(r.passed or _is_strict_xpass(r) for r in self.reports)

    def log(self) -> None:
        """Report the test, as pytest's own protocol does."""
        hook = self.item.ihook
        hook.pytest_runtest_logstart(nodeid=self.item.nodeid, location=self.item.location)
        for report in self.reports:
            hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(nodeid=self.item.nodeid, location=self.item.location)

    def fail(self, headline: str, explanation: str) -> None:
        """Turn the passed call into a failure, or into the expected failure of an xfail."""
        for report in self.reports:
            if report.when != "call":
                continue
            expected = _xfail_reason(report)
            if expected is not None:
                report.outcome = "skipped"
                report.wasxfail = expected
                report.longrepr = explanation
            else:
                report.outcome = "failed"
                report.longrepr = Explanation(explanation, headline, self.item)


def _is_strict_xpass(report: pytest.TestReport) -> bool:
    return report.when == "call" and report.failed and str(report.longrepr).startswith(STRICT_XPASS)


def _xfail_reason(report: pytest.TestReport) -> str | None:
    if _is_strict_xpass(report):
        return str(report.longrepr).removeprefix(STRICT_XPASS).strip()
    return getattr(report, "wasxfail", None)


class Explanation(TerminalRepr):
    """A failure with no traceback: the workload did nothing wrong but take longer."""

    def __init__(self, text: str, headline: str, item: pytest.Item) -> None:
        self.text = text
        path, line, _ = item.location
        self.reprcrash = ReprFileLocation(path, (line or 0) + 1, headline)  # what the short summary and JUnit show

    def toterminal(self, tw: TerminalWriter) -> None:
        """Write it into the failures section."""
        tw.line(self.text)
