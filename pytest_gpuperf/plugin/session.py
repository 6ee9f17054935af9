"""One pytest session of gpuperf, from its first test to its exit code."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from pytest_gpuperf.endings import ending_in_order, undisturbed
from pytest_gpuperf.errors import DeviceLostError, FileError, GpuPerfError
from pytest_gpuperf.plugin import collection

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gpuperf.plugin.gate import Gate
    from pytest_gpuperf.plugin.recorder import Recorder
    from pytest_gpuperf.plugin.settings import Settings
    from pytest_gpuperf.plugin.ways import Way
    from pytest_gpuperf.records.model import Run

SESSION = pytest.StashKey["GpuperfSession"]()


class GpuperfSession:
    """The hooks and the state of a session that has something to measure or to compare."""

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        recorder: Recorder,
        gate: Gate | None,
        way: Way,
        *,
        started_for_us: bool,
        write_reports: Callable[[GpuperfSession], None],
    ) -> None:
        self.config = config
        self.settings = settings
        self.recorder = recorder
        self.gate = gate
        self.way = way  # in which calls are measured
        self.in_turns = False  # with another process, which a load cannot be
        self.started_for_us = started_for_us  # by another session, which reports what this one records
        self.shared = hasattr(config, "workerinput")  # a pytest-xdist worker shares the device with others
        self.passed: set[str] = set()  # tests whose call passed ...
        self.called: set[str] = set()  # ... and those that measured something in it
        self.run: Run | None = None  # everything recorded, once the main loop has ended
        self.saved: Run | None = None
        self.page: Path | None = None  # the report that was written to look at
        self.failure: GpuPerfError | None = None  # why the run could not be saved or judged
        self._write_reports = write_reports

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        if self.gate is None or not collection.measures(item):
            return None
        return self.gate.run(item, nextitem, self.recorder, caller=self)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if collection.measures(item):
            self.recorder.test_begins()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "call" and report.passed:
            self.passed.add(item.nodeid)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self.run is None:
            self.recorder.note(report)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        from pytest_gpuperf.measure.quiet import lasting_objects_set_aside

        interrupted = True
        with ending_in_order():
            try:
                with lasting_objects_set_aside():
                    result = yield
                interrupted = False
            finally:  # being asked to end must neither lose what was recorded nor the reports that wait
                self._close(interrupted=interrupted)
        return result

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        status = int(session.exitstatus)
        if self.gate is not None:
            status = self.gate.exit_status(status)
        if self.failure is not None and status in {0, 5, 6, 7}:
            status = self.failure.exit_code
        session.exitstatus = status

    def _close(self, *, interrupted: bool) -> None:
        """The main loop has ended: confirm, judge, report what was withheld, save."""
        if self.recorder.cases and not self.settings.disable:
            with suppress(RuntimeError, DeviceLostError):  # what was measured before the device was lost is kept
                self.recorder.read_canaries(last=True)
        self.run = self.recorder.run(collection.scope(self.config))
        try:
            if self.gate is not None:
                self.run = self.gate.judge(self.run, self.recorder, interrupted=interrupted)
        finally:
            if self.gate is not None:
                self.gate.report()
            with undisturbed():
                self._save(self.run)
                try:
                    self._write_reports(self)
                except FileError as error:
                    self.failure = error

    def _save(self, run: Run) -> None:
        if self.settings.save is None or self.settings.disable or not run.cases:
            return
        from pytest_gpuperf.records.files import write_run

        try:
            write_run(self.settings.save, run)
            self.saved = run
        except FileError as error:
            self.failure = error
