"""`--gpuperf-ab`: this session collects and reports; two revisions are measured in turns by processes of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pytest_gpuperf.errors import GpuPerfError, UsageError
from pytest_gpuperf.plugin import collection
from pytest_gpuperf.plugin.withheld import WithheldReason

if TYPE_CHECKING:
    from pytest_gpuperf.comparison.judged import JudgedRun
    from pytest_gpuperf.plugin.settings import Settings


Outcome = Literal["passed", "failed", "skipped"]


class ABSession:
    """The hooks of such a session."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.config = config
        self.settings = settings
        self.judged: JudgedRun | None = None
        self.left_out = 0  # tests that measure nothing
        if any((settings.save, settings.html, settings.trace)):
            raise UsageError(
                "--gpuperf-ab judges two revisions beside each other and records no run, so --gpuperf-save, "
                "--gpuperf-html and --gpuperf-trace have nothing to keep. Leave them out; --gpuperf-markdown and "
                "--gpuperf-csv work."
            )

    def keep_measuring(self, session: pytest.Session) -> None:
        """Deselect the tests that measure nothing: there is nothing of them to compare."""
        others = [item for item in session.items if not collection.measures(item)]
        self.left_out = len(others)
        session.items[:] = [item for item in session.items if collection.measures(item)]
        if others:
            self.config.hook.pytest_deselected(items=others)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Measure in other processes, then report each test here, once."""
        if session.testsfailed or self.config.getoption("collectonly") or not session.items:
            return None
        from pytest_gpuperf.reports.annotations import deliver

        try:
            self.judged = self._compare()
            deliver(self.judged.run, self.judged, markdown=self.settings.markdown, csv=self.settings.csv)
        except GpuPerfError as error:
            if error.exit_code == pytest.ExitCode.USAGE_ERROR:
                raise pytest.UsageError(str(error)) from error
            pytest.exit(str(error), returncode=error.exit_code)
        outcomes = self._outcomes(self.judged)
        for item in session.items:
            _report(item, *outcomes.get(item.nodeid, ("passed", "", "")))
        return True

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.judged is not None and session.exitstatus in {0, 5}:
            session.exitstatus = self.judged.exit_code

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.judged is None:
            return
        from pytest_gpuperf.reports.annotations import github_annotations
        from pytest_gpuperf.reports.formats import FORMATS

        terminalreporter.section("gpuperf")
        terminalreporter.write_line(FORMATS["table"](self.judged))
        if self.left_out:
            terminalreporter.write_line(f"gpuperf: tests that measure nothing, left out: {self.left_out}")

        for line in github_annotations(self.judged, self.config.rootpath):
            terminalreporter.write_line(line)

    def _compare(self) -> JudgedRun:
        from pytest_gpuperf.ab.checkout import Preparation
        from pytest_gpuperf.ab.controller import Comparing, compare_revisions
        from pytest_gpuperf.comparison.findings import Rules
        from pytest_gpuperf.records.model import Rule

        settings = self.settings
        return compare_revisions(
            Comparing(
                base=str(settings.ab),
                invocation=collection.scope(self.config).invocation,
                preparation=Preparation(
                    setup=settings.setup, arguments=tuple(str(a) for a in self.config.invocation_params.args)
                ),
                folder=self.config.invocation_params.dir,
                rules=Rules(
                    strict=settings.strict, allow_missing=settings.allow_missing, min_decided=settings.min_decided
                ),
                override=Rule(tolerance=dict(settings.command_line_tolerance), **settings.command_line_margin),
                progress=self._say(),
            )
        )

    def _say(self) -> Callable[[str], None]:
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")

        def say(text: str) -> None:
            if reporter is not None:
                reporter.ensure_newline()
                reporter.write_line(f"gpuperf: {text}")

        return say

    def _outcomes(self, judged: JudgedRun) -> dict[str, tuple[Outcome, str, str]]:
        """What became of each test that did not simply pass: the outcome, a headline, an explanation."""
        from pytest_gpuperf.reports.terminal import explain

        comparison, outcomes = judged.comparison, dict[str, tuple[Outcome, str, str]]()
        sides = comparison.sides
        assert sides is not None
        for finding in comparison.findings:
            if comparison.is_failure(finding):
                text = explain(finding, comparison)
                before = outcomes.get(finding.test)
                explanation = f"{before[2]}\n\n{text}" if before else text
                outcomes[finding.test] = "failed", f"{finding.verdict.word}: {finding.metric}", explanation
        for test, why in sides.failed.items():
            outcomes[test] = "failed", why, f"{test} failed on {sides.head}: {why}"
        for test, why in sides.skipped.items():
            outcomes[test] = "skipped", why, why
        return outcomes


_PHASES: tuple[Literal["setup", "call", "teardown"], ...] = ("setup", "call", "teardown")


def _report(item: pytest.Item, outcome: Outcome, headline: str, text: str) -> None:
    """One test, once, with the phases that pytest's own reports have."""
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    path, line, _ = item.location
    for when in _PHASES:
        longrepr: Any = None
        if when == "call" and outcome == "failed":
            longrepr = WithheldReason(text, headline, item)
        elif when == "call" and outcome == "skipped":
            longrepr = (path, (line or 0) + 1, text)
        report = pytest.TestReport(
            nodeid=item.nodeid,
            location=item.location,
            keywords=dict.fromkeys(item.keywords, 1),
            outcome=outcome if when == "call" else "passed",
            longrepr=longrepr,
            when=when,
        )
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
