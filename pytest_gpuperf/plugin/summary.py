"""What a session says beside its tests: the terminal's end, and report files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_gpuperf.plugin.progress import progress_of
from pytest_gpuperf.records.units import many
from pytest_gpuperf.reports.annotations import deliver, github_annotations
from pytest_gpuperf.reports.formats import terminal_width
from pytest_gpuperf.reports.pipeline_report import render_pipelines
from pytest_gpuperf.reports.tables import inert, visible
from pytest_gpuperf.reports.terminal import render_reference, render_table

if TYPE_CHECKING:
    from pytest_gpuperf.plugin.session import GpuperfSession


def write_reports(session: GpuperfSession) -> None:
    """Write what can be made of this session; FileError where a file cannot be written."""
    settings, run = session.settings, session.run
    if session.started_for_us or settings.disable or run is None or not (run.cases or session.gate):
        return
    deliver(run, session.gate.judged if session.gate else None, markdown=settings.markdown, csv=settings.csv)
    if settings.html is not None:
        from pytest_gpuperf.reports.html.page import Subject
        from pytest_gpuperf.reports.html.rendering import write_html

        gate = session.gate
        judged, baseline = (gate.judged, gate.baseline) if gate else (None, None)
        session.page = write_html(settings.html, Subject(run=run, judged=judged, baseline=baseline))


def write_annotations(reporter: pytest.TerminalReporter, session: GpuperfSession) -> None:
    """Print GitHub's commands, each on a line of its own."""
    judged = session.gate.judged if session.gate else None
    if judged is not None and not session.started_for_us:
        for line in github_annotations(judged, session.config.rootpath):
            reporter.ensure_newline()
            reporter.write_line(line)


class Summary:
    """Says at the start what is measured on, and at the end what was found."""

    def __init__(self, session: GpuperfSession) -> None:
        self._session = session
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            write_opening(reporter, session)
            progress = progress_of(session.config, len(session.recorder.tests))
            if progress is not None:
                session.config.pluginmanager.register(progress, "gpuperf-progress")
                session.recorder.on_samples = progress.sampled

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        write_summary(terminalreporter, self._session)


def write_opening(reporter: pytest.TerminalReporter, session: GpuperfSession) -> None:
    """Say on what device, and against what, before the first test runs."""
    line = f"gpuperf: {session.recorder.chosen.device.name}, timed by the {session.recorder.chosen.clock.name} clock"
    if session.settings.disable:
        line += "; disabled: each workload runs once, nothing is measured"
    elif session.gate is not None:
        line += f"; judged against {session.gate.name} ({many(len(session.gate.baseline.cases), 'case')})"
    reporter.write_line(line)
    passed_over = session.recorder.chosen.passed_over
    if passed_over is not None:
        reporter.write_line(f"gpuperf: this machine has an NVIDIA card, which is not used: {passed_over}", yellow=True)


def write_summary(reporter: pytest.TerminalReporter, session: GpuperfSession) -> None:
    """The table of all cases, the problems, and where the run was saved."""
    judged = session.gate.judged if session.gate else None
    width = terminal_width()
    if judged is not None:
        reporter.section("gpuperf")
        reporter.write_line(render_table(judged.comparison, judged.run, width))
        if judged.reference is not None:
            reporter.write_line("\n" + render_reference(judged.reference, width))
    elif session.run is not None and session.run.cases and not session.settings.disable:
        reporter.section("gpuperf")
        reporter.write_line(render_table(None, session.run, width))
    if session.run is not None and not session.settings.disable:
        stages = render_pipelines(session.run, width)
        reporter.write(f"\n{stages}\n" if stages else "")
    for problem in problems(session):
        for line in f"gpuperf: {problem}".split("\n"):
            reporter.write_line(inert(visible(line)), red=True)
    _write_files(reporter, session)
    write_annotations(reporter, session)


def _write_files(reporter: pytest.TerminalReporter, session: GpuperfSession) -> None:
    """Where what was recorded stands."""
    if session.saved is not None:
        reporter.write_line(f"gpuperf: recorded {many(len(session.saved.cases), 'case')} in {session.settings.save}")
    if session.page is not None:
        reporter.write_line(f"gpuperf: report in {session.page}")
    if session.recorder.traces is not None:
        for line in session.recorder.traces.lines():
            reporter.write_line(f"gpuperf: {inert(visible(line))}")


def problems(session: GpuperfSession) -> Iterator[str]:
    """Why the session fails, beyond what failed tests say."""
    if session.gate is not None and session.gate.judged is not None:
        yield from session.gate.judged.problems
    if session.failure is not None:
        yield str(session.failure)
