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
from pytest_gpuperf.plugin.summary import describe

if TYPE_CHECKING:
    import pytest

    from pytest_gpuperf.plugin.gate import Gate
    from pytest_gpuperf.plugin.recorder import Recorder
    from pytest_gpuperf.plugin.settings import TestSettings
    from pytest_gpuperf.records.model import Case, Measurement


@dataclass(frozen=True)
class Asked:
    """What a test gave to be measured."""

    item: pytest.Item
    fn: Callable[..., object]
    arguments: tuple[Any, ...]
    items: int  # handled by a call
    name: str | None
    settings: TestSettings


class Way(Protocol):
    """How a session measures."""

    def measure(self, asked: Asked) -> Measurement:
        """The figures that the test gets."""
        ...


@dataclass(frozen=True)
class RunOnce:
    """Nothing is measured: what the test asserts on is the one call."""

    recorder: Recorder

    def measure(self, asked: Asked) -> Measurement:
        __tracebackhide__ = True
        return self.recorder.run_once(asked.fn, asked.arguments, asked.items)


@dataclass(frozen=True)
class Explain:
    """Warm the call up and see what one call runs."""

    recorder: Recorder

    def measure(self, asked: Asked) -> Measurement:
        __tracebackhide__ = True
        recorder = self.recorder
        looked = recorder.run_warm(asked.fn, asked.arguments, asked.items)
        case = recorder.case_of(asked.item, asked.name, asked.settings, (looked,))
        recorder.keep(recorder.explained(case, asked.fn, asked.arguments, asked.settings))
        return looked


@dataclass(frozen=True)
class Record:
    """Measure and record; with a gate, a suspect is measured again where that is to happen in its test."""

    recorder: Recorder
    gate: Gate | None
    require_proof: bool

    def measure(self, asked: Asked) -> Measurement:
        __tracebackhide__ = True
        recorder, gate = self.recorder, self.gate
        recorder.read_canaries()
        first = recorder.measure(asked.fn, asked.arguments, asked.items, asked.settings)
        refuse_unproven(first, recorder.chosen, require=self.require_proof)
        case = recorder.case_of(asked.item, asked.name, asked.settings, (first,))
        while gate is not None and gate.wants_repeat(recorder, case):
            number = len(case.measurements)
            repeat = recorder.measure(asked.fn, asked.arguments, asked.items, asked.settings, repeat=number)
            case = recorder.case_of(asked.item, asked.name, asked.settings, (*case.measurements, repeat))
        if self._explains(case):
            case = recorder.explained(case, asked.fn, asked.arguments, asked.settings)
        recorder.keep(case)
        describe(asked.item, case, recorder.chosen.device.name)
        return first

    def _explains(self, case: Case) -> bool:
        """Whether one call more is looked at: the case is recorded, or seems to have changed."""
        recorded = self.recorder.profiles and case.test not in self.recorder.spared
        return recorded or (self.gate is not None and self.gate.explains_here(self.recorder, case))
