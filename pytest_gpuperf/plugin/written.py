"""Reports beside the terminal's: files that were asked for, and what GitHub shows where it runs us."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_gpuperf.reports.delivery import deliver, github_annotations

if TYPE_CHECKING:
    from pytest_gpuperf.plugin.suite import Suite


def write_reports(suite: Suite) -> None:
    """Write what can be made of this session; FileError where a file cannot be written."""
    settings, run = suite.settings, suite.run
    if suite.started_for_us or settings.disable or run is None or not (run.cases or suite.gate):
        return
    deliver(run, suite.gate.judged if suite.gate else None, markdown=settings.markdown, csv=settings.csv)
    if settings.html is not None:
        from pytest_gpuperf.reports.html.rendering import write_html
        from pytest_gpuperf.reports.html.subject import Subject

        gate = suite.gate
        judged, baseline = (gate.judged, gate.baseline) if gate else (None, None)
        suite.page = write_html(settings.html, Subject(run=run, judged=judged, baseline=baseline))


def write_annotations(reporter: pytest.TerminalReporter, suite: Suite) -> None:
    """Print GitHub's commands, each on a line of its own."""
    judged = suite.gate.judged if suite.gate else None
    if judged is not None and not suite.started_for_us:
        for line in github_annotations(judged, suite.config.rootpath):
            reporter.ensure_newline()
            reporter.write_line(line)
