"""The steps of a certificate, the most telling ones first: where time is short, the last are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pytest_gpuperf.analysis.certificate import LeftOut, Part, Row
from pytest_gpuperf.device.choice import Chosen
from pytest_gpuperf.instrument import evidence, memory, power, timing, timing_by_events


@dataclass(frozen=True)
class Step:
    """Some rows of one part, and about how long they take."""

    part: Part
    name: str
    seconds: float
    rows: Callable[[Chosen], Iterator[Row]]


ON_CPU = (
    Step("timing", "the clock", 3, timing.clock),
    Step("timing", "a loop", 8, timing.loop),
    Step("evidence", "which device worked", 4, evidence.of_processor),
    Step("memory", "leaks, peaks, exhaustion", 3, memory.of_process),
    Step("timing", "a product of matrices", 6, timing.product),
    Step("timing", "a copy", 6, timing.copy),
    Step("power", "the counter", 3, power.counter),
    Step("power", "equal windows", 22, power.equal_windows),
)
ON_GPU = (
    Step("timing", "one kernel", 12, timing_by_events.product),
    Step("timing", "many small kernels", 8, timing_by_events.adds),
    Step("evidence", "which device worked", 12, evidence.of_gpu),
    Step("memory", "leaks, peaks, exhaustion", 12, memory.of_gpu),
    Step("timing", "a call that waits for the device", 4, timing_by_events.waiting),
    Step("timing", "a stream of its own", 4, timing_by_events.beside),
    Step("timing", "a replayed graph", 8, timing_by_events.graph),
    Step("timing", "a model", 10, timing_by_events.model),
    Step("power", "the counter", 8, power.counter),
    Step("power", "equal windows", 25, power.equal_windows),
)


def steps_of(kind: str) -> tuple[Step, ...]:
    """All of them on a processor, or on a GPU, in order of worth."""
    return ON_GPU if kind == "cuda" else ON_CPU


def affordable(steps: Sequence[Step], budget: float | None) -> tuple[list[Step], list[LeftOut]]:
    """Which of them a budget has room for, by what they are expected to take; and which not."""
    taken: list[Step] = []
    left_out: list[LeftOut] = []
    for step in steps:
        if budget is None or step.seconds <= budget:
            taken.append(step)
            budget = None if budget is None else budget - step.seconds
        else:
            left_out.append(LeftOut(step.part, step.name, step.seconds))
    return taken, left_out
