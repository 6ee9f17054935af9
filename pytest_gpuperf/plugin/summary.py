"""The end of the terminal's report: one table, and why the session fails where it does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_gpuperf.plugin.written import write_annotations
from pytest_gpuperf.reports.formats import terminal_width
from pytest_gpuperf.reports.tables import inert, visible
from pytest_gpuperf.reports.terminal import render_reference, render_table
from pytest_gpuperf.results.units import many

if TYPE_CHECKING:
    from pytest_gpuperf.plugin.suite import Suite


def write_opening(reporter: pytest.TerminalReporter, suite: Suite) -> None:
    """Say on what device, and against what, before the first test runs."""
    line = f"gpuperf: {suite.recorder.chosen.device.name}, timed by the {suite.recorder.chosen.clock.name} clock"
    if suite.settings.disable:
        line += "; disabled: each workload runs once, nothing is measured"
    elif suite.gate is not None:
        line += f"; judged against {suite.gate.name} ({many(len(suite.gate.baseline.cases), 'case')})"
    reporter.write_line(line)
    passed_over = suite.recorder.chosen.passed_over
    if passed_over is not None:
        reporter.write_line(f"gpuperf: this machine has an NVIDIA card, which is not used: {passed_over}", yellow=True)


def write_summary(reporter: pytest.TerminalReporter, suite: Suite) -> None:
    """The table of all cases, the problems, and where the run was saved."""
    judged = suite.gate.judged if suite.gate else None
    width = terminal_width()
    if judged is not None:
        reporter.section("gpuperf")
        reporter.write_line(render_table(judged.comparison, judged.run, width))
        if judged.reference is not None:
            reporter.write_line("\n" + render_reference(judged.reference, width))
    elif suite.run is not None and suite.run.cases and not suite.settings.disable:
        reporter.section("gpuperf")
        reporter.write_line(render_table(None, suite.run, width))
    for problem in problems(suite):
        for line in f"gpuperf: {problem}".split("\n"):
            reporter.write_line(inert(visible(line)), red=True)
    if suite.saved is not None:
        reporter.write_line(f"gpuperf: recorded {many(len(suite.saved.cases), 'case')} in {suite.settings.save}")
    if suite.page is not None:
        reporter.write_line(f"gpuperf: report in {suite.page}")
    write_annotations(reporter, suite)


def problems(suite: Suite) -> Iterator[str]:
    """Why the session fails, beyond what failed tests say."""
    if suite.gate is not None and suite.gate.judged is not None:
        yield from suite.gate.judged.problems
    if suite.failure is not None:
        yield str(suite.failure)
