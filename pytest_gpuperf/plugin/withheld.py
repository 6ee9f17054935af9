"""Reports that wait for their verdict: every test is reported once, when the suite has been judged.

A test is run by whoever would run it otherwise (pytest, or a plugin that runs flaky tests again), while the three hooks
that report it are held back. No public function of pytest runs a test without reporting it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pluggy
import pytest
from _pytest._code.code import ReprFileLocation, TerminalRepr
from _pytest._io import TerminalWriter

STRICT_XPASS = "[XPASS(strict)]"
_REPORTING_HOOKS = ("pytest_runtest_logstart", "pytest_runtest_logreport", "pytest_runtest_logfinish")
HookCall = tuple[str, Mapping[str, object]]  # a hook, and what it was called with


@dataclass(frozen=True)
class Withheld:
    """One test that ran, and the calls that will report it."""

    item: pytest.Item
    hook_calls: Sequence[HookCall]

    @classmethod
    def run(cls, item: pytest.Item, nextitem: pytest.Item | None, caller: object) -> Withheld:
        """Run a test as the plugins after `caller` would; report nothing."""
        with _hold_back(item.config) as hook_calls:
            run_as_others_do(item, nextitem, caller)
        return cls(item, hook_calls)

    @property
    def reports(self) -> list[pytest.TestReport]:
        """Of the last try, where it was run more than once."""
        reports: list[pytest.TestReport] = []
        for _, arguments in self.hook_calls:
            report = arguments.get("report")
            if isinstance(report, pytest.TestReport):
                reports = [report] if report.when == "setup" else [*reports, report]
        return reports

    @property
    def passed(self) -> bool:
        """Whether every phase passed; a strict xfail that passed is still expected to fail by its verdict."""
        return len(self.reports) == 3 and all(r.passed or _is_strict_xpass(r) for r in self.reports)

    def log(self) -> None:
        """Report it now."""
        for hook, arguments in self.hook_calls:
            getattr(self.item.ihook, hook)(**arguments)

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
                report.longrepr = WithheldReason(explanation, headline, self.item)


def run_as_others_do(item: pytest.Item, nextitem: pytest.Item | None, caller: object) -> None:
    """Go on with the hook that runs a test, after `caller`; wrappers are around it already."""
    in_order = item.config.hook.pytest_runtest_protocol.get_hookimpls()[::-1]
    own = next(place for place, impl in enumerate(in_order) if impl.plugin is caller)
    values = {"item": item, "nextitem": nextitem}
    for impl in in_order[own + 1 :]:
        if impl.wrapper or impl.hookwrapper:
            continue
        if impl.function(*(values[name] for name in impl.argnames)) is not None:
            return


@contextmanager
def _hold_back(config: pytest.Config) -> Generator[list[HookCall]]:
    hook_calls: list[HookCall] = []
    hooks = {name: getattr(config.hook, name) for name in _REPORTING_HOOKS}

    def hold(name: str, _impls: object, arguments: Mapping[str, object], _first: bool) -> list[object]:
        report = arguments.get("report")
        if report is not None and type(report) is not pytest.TestReport:
            return hooks[name](**arguments)  # of a part of a test: nobody judges it
        hook_calls.append((name, arguments))
        return []

    for name in hooks:
        setattr(config.hook, name, pluggy.HookCaller(name, hold))
    try:
        yield hook_calls
    finally:
        for name, hook in hooks.items():
            setattr(config.hook, name, hook)


def _is_strict_xpass(report: pytest.TestReport) -> bool:
    return report.when == "call" and report.failed and str(report.longrepr).startswith(STRICT_XPASS)


def _xfail_reason(report: pytest.TestReport) -> str | None:
    if _is_strict_xpass(report):
        return str(report.longrepr).removeprefix(STRICT_XPASS).strip()
    return getattr(report, "wasxfail", None)


class WithheldReason(TerminalRepr):
    """A failure with no traceback: the workload did nothing wrong but take longer."""

    def __init__(self, text: str, headline: str, item: pytest.Item) -> None:
        self.text = text
        path, line, _ = item.location
        self.reprcrash = ReprFileLocation(path, (line or 0) + 1, headline)  # what the short summary and JUnit show

    def toterminal(self, tw: TerminalWriter) -> None:
        """Write it into the failures section."""
        tw.line(self.text)
