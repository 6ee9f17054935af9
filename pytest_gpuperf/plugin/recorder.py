"""What one pytest session measures: its cases, its canaries, its header."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_gpuperf.device.canaries import Canaries
from pytest_gpuperf.device.clocks import TimesItself
from pytest_gpuperf.device.memory import lost
from pytest_gpuperf.instrument.slowdown import slowed
from pytest_gpuperf.measure.cache import workload_call
from pytest_gpuperf.measure.counting import counted, with_compile_cost
from pytest_gpuperf.measure.evidence import Memory
from pytest_gpuperf.measure.observation import Observer, charged
from pytest_gpuperf.measure.plan import Pace, Plan
from pytest_gpuperf.measure.quiet import unwatched
from pytest_gpuperf.measure.sampler import measure
from pytest_gpuperf.plugin.collection import parameters_of, skip_reason
from pytest_gpuperf.records.fields import now
from pytest_gpuperf.records.model import Case, Measurement, Rule, Run, Scope, Session

_CANARY_PAUSE = 25  # times as long as a reading took: many short cases share one
_WARM_CALLS = 20
_WARM_SECONDS = 0.3

if TYPE_CHECKING:
    import pytest

    from pytest_gpuperf.device.choice import Chosen
    from pytest_gpuperf.device.clocks import Call
    from pytest_gpuperf.device.health import Health
    from pytest_gpuperf.plugin.settings import TestSettings
    from pytest_gpuperf.plugin.traces import Traces


@dataclass
class Recorder:
    """Measures and remembers; judges nothing."""

    chosen: Chosen
    revision: str | None
    tests: Collection[str]  # the selected tests that can measure
    slowdown: float = 0.0  # extra work in every timed region, for the self-test
    profiles: bool = False  # whether one call more of each case is looked at, untimed
    spared: Collection[str] = ()  # but not of these tests
    packages: str | None = None  # a hash of what is installed
    session: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    started: str = field(default_factory=now)
    cases: dict[str, Case] = field(default_factory=dict[str, Case])
    by_test: dict[str, list[str]] = field(default_factory=dict[str, list[str]])  # test -> its cases
    unmeasured: dict[str, str] = field(default_factory=dict[str, str])  # test -> why
    repeats: int = 0  # the most often one case was measured in this process
    readings: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    canaries: Canaries | None = None
    next_reading: float = 0.0  # not before
    on_samples: Callable[[Sequence[float]], None] | None = None  # gets the samples so far, after each block
    traces: Traces | None = None  # of each case, where they are wanted
    memory_before: Memory = field(default_factory=Memory)  # the test that runs

    def __post_init__(self) -> None:
        self.observer = Observer.of(self.chosen)
        self.unmeasured = dict.fromkeys(self.tests, "not run: the session stopped before it")

    def test_begins(self) -> None:
        """Before its fixtures make anything."""
        self.memory_before = self.observer.prover.memory_before(self.chosen.memory)

    def read_canaries(self, *, last: bool = False) -> None:
        """Time the fixed work once more: at the start, between cases and at the end. Short cases share a reading."""
        if self.canaries is None:
            self.canaries = Canaries(self.chosen)
        elif not last and monotonic() < self.next_reading:
            return
        began = monotonic()
        try:
            readings = self.canaries.read()
        except RuntimeError as error:
            gone = lost(error)
            if gone is None:
                raise
            raise gone from error
        for name, seconds in readings.items():
            self.readings.setdefault(name, []).append(seconds)
        ended = monotonic()
        self.next_reading = ended + _CANARY_PAUSE * (ended - began)

    def id_of(self, item: pytest.Item, name: str | None, settings: TestSettings) -> str:
        """What a measurement's case is called."""
        cache = f"#{settings.cache}" if settings.cache != "warm" else ""
        return item.nodeid + (f"#{name}" if name else "") + cache

    def case_of(
        self, item: pytest.Item, name: str | None, settings: TestSettings, measurements: tuple[Measurement, ...]
    ) -> Case:
        """The case of a measurement."""
        line = item.location[1]
        return Case(
            id=self.id_of(item, name, settings),
            test=item.nodeid,
            line=None if line is None else line + 1,
            parameters=parameters_of(item),
            rule=Rule(tolerance=dict(settings.tolerance), margin=settings.margin, margin_cap=settings.margin_cap),
            measurements=measurements,
        )

    def measure(
        self,
        fn: Callable[..., object],
        arguments: tuple[Any, ...],
        items: int,
        settings: TestSettings,
        repeat: int = 0,
        *,
        plan: Plan | None = None,
        paced: Callable[[Call], Pace] | None = None,
    ) -> Measurement:
        """Measure one workload. A repeat in the same process counts as a session of its own."""
        __tracebackhide__ = True
        plan = plan or Plan(budget=settings.budget, cache=settings.cache)
        workload = workload_call(fn, arguments, plan, self.chosen)

        def add_observations(measured: Measurement, health: Health | None) -> Measurement:
            held = (fn, arguments)
            before, allocated = self.memory_before, self.chosen.memory.allocated()
            full = self.observer.observe(measured, workload.call, held, health, before, energy=settings.energy)
            return charged(full, allocated, before, held)

        # The self-test slows whole calls down: what it adds comes after all that a call knows of itself.
        knowing = fn if isinstance(fn, TimesItself) and not self.slowdown else None
        with unwatched():
            if self.slowdown:
                workload = workload._replace(call=slowed(workload.call, self.slowdown, self.chosen))
            measured = measure(
                workload,
                items=items,
                plan=plan,
                clock=self.chosen.clock if knowing is None else knowing.gpuperf_clock(self.chosen.clock),
                memory=self.chosen.memory,
                session=self.name_of(repeat),
                pace=None if paced is None else paced(workload.call),
                watch=self.observer.watch(),
                on_samples=self.on_samples,
                observe=add_observations,
            )
        measured = with_compile_cost(measured, fn)
        return counted(measured, fn) if knowing is None else knowing.gpuperf_figures(measured)

    def explained(
        self, case: Case, fn: Callable[..., object], arguments: tuple[Any, ...], settings: TestSettings
    ) -> Case:
        """The case with what one call more runs, untimed."""
        workload = workload_call(fn, arguments, Plan(cache=settings.cache), self.chosen)
        profile = self.observer.profile(case.measurements[-1], workload.call, (fn, arguments))
        return msgspec.structs.replace(case, profile=profile)

    def trace(self, case: Case, fn: Callable[..., object], arguments: tuple[Any, ...], settings: TestSettings) -> None:
        """Record a trace of a few calls more, where traces are wanted."""
        if self.traces is not None:
            self.traces.record(case, workload_call(fn, arguments, Plan(cache=settings.cache), self.chosen).call)

    def run_once(self, fn: Callable[..., object], arguments: tuple[Any, ...], items: int) -> Measurement:
        """Run a workload without measuring it; what its test asserts on is the one call."""
        return self._unmeasured((self.chosen.clock.latencies(lambda: fn(*arguments), 1),), items)

    def run_warm(self, fn: Callable[..., object], arguments: tuple[Any, ...], items: int) -> Measurement:
        """Run a workload until it is warm enough to be profiled, without measuring it."""
        call = partial(fn, *arguments)
        (first,) = self.chosen.clock.latencies(call, 1)
        calls = max(1, min(_WARM_CALLS, int(_WARM_SECONDS / first)))
        return self._unmeasured((self.chosen.clock.latencies(call, calls),), items)

    def _unmeasured(self, blocks: tuple[tuple[float, ...], ...], items: int) -> Measurement:
        return Measurement(
            session=self.session,
            items=items,
            clock="host",
            blocks=blocks,
            span_calls=1,
            latencies=blocks[0],
            ended="cap",
            interval=1.0,
        )

    def name_of(self, repeat: int) -> str:
        """The session id of a repeat."""
        return self.session if repeat == 0 else f"{self.session}-{repeat}"

    def cases_of(self, test: str) -> list[str]:
        """The cases that a test measured."""
        return self.by_test.get(test, [])

    def keep(self, case: Case) -> None:
        """Remember a case; a test that is run again replaces what it measured before."""
        self.cases[case.id] = case
        self.by_test.setdefault(case.test, []).append(case.id)
        self.unmeasured.pop(case.test, None)

    def note(self, report: pytest.TestReport) -> None:
        """Keep or drop the figures of a test, as its report says."""
        test = report.nodeid
        if report.failed:
            self._drop(test, f"failed in {report.when}")
        elif hasattr(report, "wasxfail"):
            self._drop(test, f"xfailed: {report.wasxfail}")
        elif report.skipped:
            self._drop(test, f"skipped: {skip_reason(report)}")
        elif report.when == "call" and test in self.unmeasured:
            self.unmeasured[test] = "passed without measuring"

    def _drop(self, test: str, why: str) -> None:
        """Forget what a test measured: it failed, so its figures are of something that does not work."""
        if test not in self.tests:
            return
        for case in self.by_test.pop(test, ()):
            self.cases.pop(case, None)  # a test that was run again kept a case twice
        self.unmeasured[test] = why
        if self.traces is not None:
            self.traces.drop(test)

    def run(self, scope: Scope) -> Run:
        """Everything recorded so far."""
        header = Session(
            id=self.session,
            time=self.started,
            revision=self.revision,
            card=self.chosen.card,
            packages=self.packages,
            canaries={name: tuple(seconds) for name, seconds in self.readings.items()},
        )
        sessions = [header] + [
            msgspec.structs.replace(header, id=self.name_of(repeat)) for repeat in range(1, self.repeats + 1)
        ]
        return Run(
            environment=self.chosen.environment(),
            sessions=tuple(sessions),
            scope=msgspec.structs.replace(scope, unmeasured=dict(self.unmeasured)),
            cases=tuple(self.cases.values()),
        )
