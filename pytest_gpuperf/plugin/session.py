"""One pytest session of gpuperf: from its settings to its exit code."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from pytest_gpuperf.endings import ending_in_order, undisturbed
from pytest_gpuperf.errors import DeviceLostError, FileError, GpuPerfError, UsageError
from pytest_gpuperf.plugin import collection
from pytest_gpuperf.plugin.fixtures import refuse_wrong
from pytest_gpuperf.plugin.progress import phase_named
from pytest_gpuperf.plugin.proof import refuse_unproven
from pytest_gpuperf.plugin.settings import Settings, TestSettings, resolve
from pytest_gpuperf.plugin.summary import describe

if TYPE_CHECKING:
    from pytest_gpuperf.device.power import GpuPower
    from pytest_gpuperf.measure.gpu import Gpu
    from pytest_gpuperf.measure.timer import CudaTimer
    from pytest_gpuperf.plugin.ab_worker import Worker, WorkerStart
    from pytest_gpuperf.plugin.fixtures import GpuPerf
    from pytest_gpuperf.plugin.gate import Gate
    from pytest_gpuperf.plugin.load import GpuPerfLoad
    from pytest_gpuperf.plugin.recorder import Recorder
    from pytest_gpuperf.records.model import Case, Measurement, Run
    from pytest_gpuperf.sessions.order import Order

SETTINGS = pytest.StashKey[Settings]()
ORDER = pytest.StashKey["Order | None"]()
SUITE = pytest.StashKey["GpuperfSession"]()
WORKER_START = pytest.StashKey["WorkerStart"]()
T = TypeVar("T")


def prepare(config: pytest.Config) -> None:
    """Resolve the settings; a process that was started for us obeys its order above them."""
    settings = refused(lambda: resolve(config))
    order = refused(_order)
    if order is not None:
        save = None if order.save is None else Path(order.save)
        settings = replace(settings, compare=None, save=save, markdown=None, html=None, csv=None, disable=False)
        if order.turns is not None:
            from pytest_gpuperf.plugin import ab_worker

            refused(lambda: ab_worker.refuse_distribution(config))
            config.stash[WORKER_START] = ab_worker.WorkerStart(order.turns)
            config.pluginmanager.register(config.stash[WORKER_START], "gpuperf-worker-start")
    elif settings.ab is not None:
        from pytest_gpuperf.plugin import ab_worker

        refused(lambda: ab_worker.refuse_distribution(config))
    config.stash[SETTINGS], config.stash[ORDER] = settings, order


def _order() -> Order | None:
    if "GPUPERF_SESSION" not in os.environ:  # spares every other session the import
        return None
    from pytest_gpuperf.sessions.order import take_order

    return take_order()


def refused(do: Callable[[], T]) -> T:
    """What makes the whole session pointless ends it as pytest ends on a wrong option: exit code 4."""
    try:
        return do()
    except GpuPerfError as error:
        raise pytest.UsageError(str(error)) from error


def keep_ordered(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run only the tests this process was started for."""
    order = config.stash[ORDER]
    if order is not None and order.only is not None:
        only = set(order.only)
        others = [item for item in items if item.nodeid not in only]
        items[:] = [item for item in items if item.nodeid in only]
        if others:
            config.hook.pytest_deselected(items=others)


def begin(session: pytest.Session) -> None:
    """Choose the device and open the gate, where something of ours was collected or asked for."""
    config = session.config
    settings = config.stash[SETTINGS]
    items = collection.involved(session.items)
    if settings.ab is not None and config.stash[ORDER] is None:
        from pytest_gpuperf.plugin.ab_session import ABSession

        compared = refused(lambda: ABSession(config, settings))
        compared.keep_measuring(session)
        config.pluginmanager.register(compared, "gpuperf-ab")
        return
    arrival: WorkerStart | None = config.stash.get(WORKER_START, None)
    if config.getoption("collectonly") or not (items or settings.compare or arrival):
        return
    suite = refused(lambda: _open(config, settings, items))
    config.stash[SUITE] = suite
    if arrival is not None:
        from pytest_gpuperf.plugin import ab_worker

        suite.worker = ab_worker.Worker(arrival, suite.recorder, require_proof=settings.require_proof)
        suite.worker.present(session)
        config.pluginmanager.register(suite.worker, "gpuperf-worker")
    if not suite.shared:
        config.pluginmanager.register(suite, "gpuperf-suite")
        suite.announce()


def _open(config: pytest.Config, settings: Settings, items: list[pytest.Item]) -> GpuperfSession:
    from pytest_gpuperf.device.choice import choose_device
    from pytest_gpuperf.plugin.recorder import Recorder
    from pytest_gpuperf.sessions.provenance import packages_hash, revision

    chosen = choose_device(settings.device)
    if settings.require_gpu:
        collection.require_gpu(chosen)
    collection.skip_what_cannot_run(items, chosen, settings.device)
    if settings.save is not None or settings.compare is not None:
        _refuse_moved_root(config)
    if not settings.disable:
        _refuse_unwritable(settings)
    gate = None
    if settings.compare and not settings.disable:
        from pytest_gpuperf.plugin.gate import open_gate  # with scipy: half a second that only a verdict is worth

        gate = open_gate(config, settings, chosen)
    tests = dict.fromkeys(item.nodeid for item in items if collection.measures(item))
    order = config.stash[ORDER]
    recorder = Recorder(chosen, revision(config.rootpath), tests, order.slowdown if order else 0.0)
    recorder.profiles = order.profiles if order else settings.save is not None
    recorder.spared = order.spared if order else ()
    recorder.packages = packages_hash()
    return GpuperfSession(config, settings, recorder, gate)


def _refuse_moved_root(config: pytest.Config) -> None:
    """Without a file of settings pytest takes its root from what looks like a path: the values of options too.

    So the same command run twice, once before and once after FILE is there, gives every test another name.
    """
    if config.inipath is not None or config.getoption("rootdir", default=None):
        return
    given = [Path(config.invocation_params.dir, a.partition("::")[0]).resolve() for a in config.args]
    around = Path(os.path.commonpath([config.invocation_params.dir, *(p for p in given if p.exists())]))
    if config.rootpath in around.parents and not (config.rootpath / "setup.py").exists():
        raise UsageError(
            f"pytest took {config.rootpath} for the root of this project, since it has no file of pytest's settings "
            f"and the value of an option looks like a test's path. Cases would be called "
            f"{around.relative_to(config.rootpath)}/... now, and otherwise the next time. Make an empty pytest.ini "
            f"here, or write the option with a sign between: --gpuperf-save=FILE."
        )


def _refuse_unwritable(settings: Settings) -> None:
    """Better now than after the measuring."""
    from pytest_gpuperf.records.envelope import RUN
    from pytest_gpuperf.records.files import REPORT, check_writable

    page = None
    if settings.html is not None:
        from pytest_gpuperf.reports.html.rendering import NAME, require_jinja2

        require_jinja2()
        page = settings.html / NAME
    for path, kind in ((settings.save, RUN), (settings.markdown, REPORT), (settings.csv, REPORT), (page, REPORT)):
        if path is not None:
            check_writable(path, kind)


def _suite_of(request: pytest.FixtureRequest) -> GpuperfSession:
    suite = request.config.stash[SUITE]
    if suite.shared:
        pytest.fail(
            "gpuperf does not measure under pytest-xdist: the workers would share one device and slow each other "
            "down. Run the performance tests without it: pytest -n 0 (or -p no:xdist)",
            pytrace=False,
        )
    return suite


def fixture(request: pytest.FixtureRequest) -> GpuPerf:
    """What the fixture `gpuperf` gives a test."""
    from pytest_gpuperf.plugin.fixtures import GpuPerf

    return GpuPerf(request.node, _suite_of(request))


def load(request: pytest.FixtureRequest) -> GpuPerfLoad:
    """What the fixture `gpuperf_load` gives a test."""
    from pytest_gpuperf.plugin.load import GpuPerfLoad

    return GpuPerfLoad(request.node, _suite_of(request))


def refuse_silence(request: pytest.FixtureRequest) -> None:
    """A test that asks to measure, passes and has measured nothing looks like a guard and is none."""
    test, suite = request.node.nodeid, request.config.stash[SUITE]
    if test not in suite.passed or test in suite.called or suite.started_for_us:
        return
    suite.called.add(test)  # said once, where it asks for both fixtures
    said = f"{test} asks for gpuperf and measures nothing. Call gpuperf(fn, *args) in it, or drop the fixture."
    if suite.settings.strict:
        pytest.fail(f"{said} (--gpuperf-strict)", pytrace=False)
    warnings.warn(pytest.PytestWarning(said), stacklevel=1)


def timer(request: pytest.FixtureRequest) -> CudaTimer:
    """What the fixture `cuda_timer` gives a test."""
    from pytest_gpuperf.measure.timer import CudaTimer

    return CudaTimer(_suite_of(request).recorder.chosen.clock)


def device(request: pytest.FixtureRequest) -> Gpu:
    """What the fixture `gpu` gives a test."""
    from pytest_gpuperf.measure.gpu import Gpu

    return Gpu(_suite_of(request).recorder.chosen)


def power(request: pytest.FixtureRequest) -> GpuPower:
    """What the fixture `gpu_power` gives a test."""
    return _suite_of(request).recorder.observer.power


class GpuperfSession:
    """The hooks and the state of a session that has something to measure or to compare."""

    def __init__(self, config: pytest.Config, settings: Settings, recorder: Recorder, gate: Gate | None) -> None:
        self.config = config
        self.settings = settings
        self.recorder = recorder
        self.gate = gate
        self.started_for_us = config.stash[ORDER] is not None
        order = config.stash[ORDER]
        self.looks = order is not None and order.look  # at what runs, and measures nothing
        self.shared = hasattr(config, "workerinput")  # a pytest-xdist worker shares the device with others
        self.passed: set[str] = set()  # tests whose call did ...
        self.called: set[str] = set()  # ... and those that measured something in it
        self.worker: Worker | None = None  # measures in turns with another process
        self.run: Run | None = None  # everything recorded, once the main loop has ended
        self.saved: Run | None = None
        self.page: Path | None = None  # the report that was written to look at
        self.failure: GpuPerfError | None = None  # why the run could not be saved or judged

    def announce(self) -> None:
        """Say on what device, and against what, before the first test runs."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            from pytest_gpuperf.plugin.progress import progress_of
            from pytest_gpuperf.plugin.summary import write_opening

            write_opening(reporter, self)
            progress = progress_of(self.config, len(self.recorder.tests))
            if progress is not None:
                self.config.pluginmanager.register(progress, "gpuperf-progress")
                self.recorder.seen = progress.sampled

    def measure(
        self,
        item: pytest.Item,
        fn: Callable[..., object],
        arguments: tuple[Any, ...],
        items: int,
        name: str | None,
        settings: TestSettings,
    ) -> Measurement:
        """Measure a workload for a test and record it; a suspect is measured again, where that is to happen here."""
        __tracebackhide__ = True
        with phase_named():
            return self._measure(item, fn, arguments, items, name, settings)

    def _measure(
        self,
        item: pytest.Item,
        fn: Callable[..., object],
        arguments: tuple[Any, ...],
        items: int,
        name: str | None,
        settings: TestSettings,
    ) -> Measurement:
        __tracebackhide__ = True
        if self.settings.parity_first:
            refuse_wrong(fn)
        if self.settings.disable:
            return self.recorder.run_once(fn, arguments, items)
        if self.worker is not None:
            return self.worker.measure(item, fn, arguments, items, name, settings)
        if self.looks:
            looked = self.recorder.run_warm(fn, arguments, items)
            case = self.recorder.case_of(item, name, settings, (looked,))
            self.recorder.keep(self.recorder.explained(case, fn, arguments, settings))
            return looked
        self.recorder.read_canaries()
        first = self.recorder.measure(fn, arguments, items, settings)
        refuse_unproven(first, self.recorder.chosen, require=self.settings.require_proof)
        case = self.recorder.case_of(item, name, settings, (first,))
        while self.gate is not None and self.gate.wants_repeat(self.recorder, case):
            repeat = self.recorder.measure(fn, arguments, items, settings, repeat=len(case.measurements))
            case = self.recorder.case_of(item, name, settings, (*case.measurements, repeat))
        if self._explains(case):
            case = self.recorder.explained(case, fn, arguments, settings)
        self.recorder.keep(case)
        describe(item, case, self.recorder.chosen.device.name)
        return first

    def _explains(self, case: Case) -> bool:
        """Whether one call more is looked at: the case is recorded, or seems to have changed."""
        recorded = self.recorder.profiles and case.test not in self.recorder.spared
        return recorded or (self.gate is not None and self.gate.explains_here(self.recorder, case))

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

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.worker is not None:  # the controller tells it
            return
        from pytest_gpuperf.plugin.summary import write_summary

        write_summary(terminalreporter, self)

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
                self._write_reports()

    def _save(self, run: Run) -> None:
        if self.settings.save is None or self.settings.disable or not run.cases:
            return
        from pytest_gpuperf.records.files import write_run

        try:
            write_run(self.settings.save, run)
            self.saved = run
        except FileError as error:
            self.failure = error

    def _write_reports(self) -> None:
        from pytest_gpuperf.plugin.summary import write_reports

        try:
            write_reports(self)
        except FileError as error:
            self.failure = error
