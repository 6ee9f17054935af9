"""The side of a comparison of two revisions that runs in pytest: it measures in turns, as its controller says."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from pytest_gpuperf.ab import protocol
from pytest_gpuperf.ab.imports import loaded_files
from pytest_gpuperf.ab.protocol import Channel, Disconnected, ToWorker, receive
from pytest_gpuperf.device.clocks import Call, Clock
from pytest_gpuperf.device.memory import is_out_of_memory
from pytest_gpuperf.errors import OutOfMemoryError, UsageError
from pytest_gpuperf.measure.plan import Pace, Plan
from pytest_gpuperf.plugin import collection
from pytest_gpuperf.plugin.proof import refuse_unproven

if TYPE_CHECKING:
    from pytest_gpuperf.plugin.recorder import Recorder
    from pytest_gpuperf.plugin.ways import Request
    from pytest_gpuperf.records.model import Measurement
    from pytest_gpuperf.sessions.order import Turns

T = TypeVar("T", bound=ToWorker)

_WARM = 1e-3  # seconds called untimed at the start of a turn: the other side has used the caches meanwhile ...
_WARM_CALLS = 2  # ... and at least so many calls
_BLOCK_SPANS = 16
_NEVER = -1.0  # a precision no measurement reaches: the controller ends it
_ABANDONED = 70  # exit code of a process whose controller is gone


def join(turns: Turns) -> Channel:
    """This end of the socket that was handed over; no process started here inherits it."""
    os.set_inheritable(turns.socket, False)
    return Channel(socket.socket(fileno=turns.socket))


def refuse_distribution(config: pytest.Config) -> None:
    """pytest-xdist's workers would all measure at once."""
    if config.getoption("dist", "no") != "no" or config.getoption("numprocesses", None):
        raise UsageError(
            "Two revisions are measured in turns, and pytest-xdist would run tests at once: their times would be "
            "each other's. Give pytest -n 0 (or -p no:xdist)."
        )


class WorkerStart:
    """What there is of a worker before its session has a device: the end of its socket, and what failed to collect."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.channel = join(turns)
        self.errors: dict[str, str] = {}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.errors[report.nodeid] = _last_line(str(report.longrepr))


class Worker:
    """The hooks of a session that measures in turns."""

    def __init__(self, start: WorkerStart, recorder: Recorder, *, require_proof: bool) -> None:
        self.channel = start.channel
        self.turns = start.turns
        self.errors = start.errors
        self.recorder = recorder
        self.require_proof = require_proof
        self.outcomes: dict[str, protocol.Ended] = {}

    def present(self, session: pytest.Session) -> None:
        """Say what was collected, and keep of it what the controller wants, in its order."""
        from pytest_gpuperf.records.model import Scope

        header = self.recorder.run(Scope()).sessions[0]
        measuring = {item.nodeid: item for item in session.items if collection.measures(item)}
        self.channel.send(
            protocol.Collected(
                tests=tuple(measuring),
                errors=self.errors,
                environment=self.recorder.chosen.environment(),
                session=header,
                plugin=str(Path(__file__).resolve().parents[1]),
                files=self._imported(),
                one_process=self.recorder.chosen.sensors.one_process,
            )
        )
        tests = self._wait_for(protocol.Tests)
        session.items[:] = [measuring[test] for test in tests.run]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.channel.send(protocol.Begins(test=item.nodeid))
        self._wait_for(protocol.Go)
        result = yield
        passed = protocol.Ended(test=item.nodeid, outcome="passed")
        self.channel.send(self.outcomes.pop(item.nodeid, passed))
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[Any]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if not report.passed and item.nodeid not in self.outcomes:
            error = call.excinfo.value if call.excinfo else None
            self.outcomes[item.nodeid] = protocol.Ended(
                test=item.nodeid,
                outcome=report.outcome,
                why=_why(report),
                out_of_memory=error is not None and (isinstance(error, OutOfMemoryError) or is_out_of_memory(error)),
            )
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        self.channel.send(protocol.Finished(files=self._imported()))

    def measure(self, request: Request) -> Measurement:
        """Measure in turns; what the other side does not measure is called once, and not timed."""
        __tracebackhide__ = True
        fn, arguments, items, settings = request.fn, request.arguments, request.items, request.settings
        case = self.recorder.id_of(request.item, request.name, settings)
        self.channel.send(protocol.Arrived(case=case, budget=settings.budget))
        if isinstance(self._wait_for(protocol.Go, protocol.Alone), protocol.Alone):
            return self.recorder.run_once(fn, arguments, items)
        try:
            plan = Plan(
                budget=86400,  # the controller's to watch: in this time the other side measures too
                warmup_seconds=Plan(budget=settings.budget).warmup_cap,
                precision=_NEVER,
                block_spans=_BLOCK_SPANS,
                cache=settings.cache,
            )
            measurement = self.recorder.measure(fn, arguments, items, settings, plan=plan, paced=self._pace)
            refuse_unproven(measurement, self.recorder.chosen, require=self.require_proof)
        except BaseException:
            self._turn_ends(protocol.Dropped(case=case))
            raise
        self._turn_ends(
            protocol.Measured(case=self.recorder.case_of(request.item, request.name, settings, (measurement,)))
        )
        return measurement

    def _turn_ends(self, message: protocol.Measured | protocol.Dropped) -> None:
        self.channel.send(message)
        self._wait_for(protocol.Go)

    def _pace(self, call: Call) -> Pace:
        clock = self.recorder.chosen.clock

        def pace(blocks: int) -> bool:
            self.channel.send(protocol.Paused(blocks=blocks))
            if isinstance(self._wait_for(protocol.Go, protocol.Enough), protocol.Enough):
                return True
            _warm(call, clock)
            return False

        return pace

    def _wait_for(self, *kinds: type[T]) -> T:
        """The controller's next message, one of these kinds. Where the controller is gone, this process ends."""
        try:
            message = receive(self.channel)
        except Disconnected:
            os._exit(_ABANDONED)
        assert isinstance(message, kinds), message
        return message

    def _imported(self) -> dict[str, str]:
        """The files of the code under test that this process has loaded, and from where; libraries too."""
        return dict(loaded_files(Path(self.turns.tree), self.turns.names))


def _warm(call: Call, clock: Clock) -> None:
    end = perf_counter() + _WARM
    while True:
        clock.latencies(call, _WARM_CALLS)
        if perf_counter() >= end:
            return


def _why(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return f"{report.outcome} in {report.when}: {_first_line(crash.message)}"
    if isinstance(report.longrepr, tuple):
        return f"{report.outcome}: {report.longrepr[2].removeprefix('Skipped: ')}"
    return f"{report.outcome} in {report.when}: {_last_line(str(report.longrepr))}"


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:300]


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2][:300]
