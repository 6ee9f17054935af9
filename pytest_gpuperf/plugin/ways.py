"""The ways in which a session measures a call that a test gives it; which one it is, is known when the session opens.

RunOnce     --gpuperf-disable: called once, not timed
Record      measured and recorded; a suspect may be measured again
Explain     a process that was started to see what runs, and not how fast
Worker      one of two processes that measure in turns (`ab_worker.py`)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pytest_gpuperf.plugin.proof import refuse_unproven

if TYPE_CHECKING:
    import pytest

    from pytest_gpuperf.plugin.gate import Gate
    from pytest_gpuperf.plugin.recorder import Recorder
    from pytest_gpuperf.plugin.settings import TestSettings
    from pytest_gpuperf.records.model import Case, Measurement


@dataclass(frozen=True)
class Request:
    """What a test asks to have measured."""

    item: pytest.Item
    fn: Callable[..., object]
    arguments: tuple[Any, ...]
    items: int  # handled by a call
    name: str | None
    settings: TestSettings
    known: Measurement | None = None  # where another measurement of the test has shown it already


class Way(Protocol):
    """How a session measures."""

    def measure(self, request: Request) -> Measurement:
        """The figures that the test gets."""
        ...


@dataclass(frozen=True)
class RunOnce:
    """Nothing is measured: what the test asserts on is the one call."""

    recorder: Recorder

    def measure(self, request: Request) -> Measurement:
        __tracebackhide__ = True
        return self.recorder.run_once(request.fn, request.arguments, request.items)


@dataclass(frozen=True)
class Explain:
    """Warm the call up and see what one call runs."""

    recorder: Recorder

    def measure(self, request: Request) -> Measurement:
        __tracebackhide__ = True
        recorder = self.recorder
        measurement = recorder.run_warm(request.fn, request.arguments, request.items)
        case = recorder.case_of(request.item, request.name, request.settings, (measurement,))
        recorder.keep(recorder.explained(case, request.fn, request.arguments, request.settings))
        return measurement


@dataclass(frozen=True)
class Record:
    """Measure and record; with a gate, a suspect is measured again where that is to happen in its test."""

    recorder: Recorder
    gate: Gate | None
    require_proof: bool

    def measure(self, request: Request) -> Measurement:
        __tracebackhide__ = True
        recorder = self.recorder

        def measure(repeat: int) -> Measurement:
            __tracebackhide__ = True
            if repeat == 0 and request.known is not None:
                return request.known
            return recorder.measure(request.fn, request.arguments, request.items, request.settings, repeat)

        case = self.case_of(request.item, request.name, request.settings, measure)
        if self._explains(case):
            case = recorder.explained(case, request.fn, request.arguments, request.settings)
        self.keep(request.item, case)
        if request.known is None:  # else these are the calls of another case, which has its trace
            recorder.trace(case, request.fn, request.arguments, request.settings)
        return case.measurements[0]

    def case_of(
        self, item: pytest.Item, name: str | None, settings: TestSettings, measure: Callable[[int], Measurement]
    ) -> Case:
        """The case of what `measure` measures: once, and again by number where a suspect is repeated in its test."""
        __tracebackhide__ = True
        recorder = self.recorder
        recorder.read_canaries()
        first = measure(0)
        refuse_unproven(first, recorder.chosen, require=self.require_proof)
        case = recorder.case_of(item, name, settings, (first,))
        while self.gate is not None and self.gate.wants_repeat(recorder, case):
            repeat = len(case.measurements)
            recorder.repeats = max(recorder.repeats, repeat)
            case = recorder.case_of(item, name, settings, (*case.measurements, measure(repeat)))
        return case

    def keep(self, item: pytest.Item, case: Case) -> None:
        """Record it, and say in the test's reports what was measured."""
        from pytest_gpuperf.reports.junit import describe

        self.recorder.keep(case)
        describe(item, case, self.recorder.chosen.device.name)

    def _explains(self, case: Case) -> bool:
        """Whether one more call is profiled: the run keeps its profile, or the case seems to have changed."""
        recorded = self.recorder.profiles and case.test not in self.recorder.spared
        return recorded or (self.gate is not None and self.gate.explains_here(self.recorder, case))
