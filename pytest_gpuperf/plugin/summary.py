"""The end of the terminal's report: one table, and why the session fails where it does."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from pytest_gpuperf.reports.terminal import render_table

if TYPE_CHECKING:
    from pytest_gpuperf.plugin.suite import Suite


def write_opening(reporter: pytest.TerminalReporter, suite: Suite) -> None:
    """Say on what device, and against what, before the first test runs."""
    line = f"gpuperf: {suite.recorder.chosen.device.name}, timed by the {suite.recorder.chosen.clock.name} clock"
    if suite.settings.disable:
        line += "; disabled: each workload runs once, nothing is measured"
    elif suite.gate is not None:
        line += f"; judged against {suite.gate.name} ({len(suite.gate.baseline.cases)} cases)"
    reporter.write_line(line)


def write_summary(reporter: pytest.TerminalReporter, suite: Suite) -> None:
    """The table of all cases, the problems, and where the run was saved."""
    comparison = suite.gate.comparison if suite.gate else None
    run = suite.run
    if run is not None and (run.cases or comparison) and not suite.settings.disable:
        reporter.section("gpuperf")
        reporter.write_line(render_table(comparison, run, shutil.get_terminal_size().columns))
    for problem in suite.problems():
        reporter.write_line(f"gpuperf: {problem}", red=True)
    if suite.saved is not None:
        reporter.write_line(f"gpuperf: recorded {len(suite.saved.cases)} cases in {suite.settings.save}")
