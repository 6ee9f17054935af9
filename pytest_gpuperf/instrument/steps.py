"""The steps of a certificate, the most telling ones first: where time is short, the last are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pytest_gpuperf.device.choice import Chosen
from pytest_gpuperf.instrument import event_rows, evidence_rows, memory_rows, power_rows, timing_rows
from pytest_gpuperf.records.certificate import LeftOut, Part, Row


@dataclass(frozen=True)
class Step:
    """Some rows of one part, and about how long they take."""

    part: Part
    name: str
    seconds: float
    rows: Callable[[Chosen], Iterator[Row]]


ON_CPU = (
    Step("timing", "the clock", 3, timing_rows.clock),
    Step("timing", "a loop", 8, timing_rows.loop),
    Step("evidence", "which device worked", 4, evidence_rows.of_processor),
    Step("memory", "leaks, peaks, exhaustion", 3, memory_rows.of_process),
    Step("timing", "a product of matrices", 6, timing_rows.product),
    Step("timing", "a copy", 6, timing_rows.copy),
    Step("power", "the counter", 3, power_rows.counter),
    Step("power", "equal windows", 22, power_rows.equal_windows),
)
ON_GPU = (
    Step("timing", "one kernel", 12, event_rows.product),
    Step("timing", "many small kernels", 8, event_rows.adds),
    Step("evidence", "which device worked", 12, evidence_rows.of_gpu),
    Step("memory", "leaks, peaks, exhaustion", 12, memory_rows.of_gpu),
    Step("timing", "a call that waits for the device", 4, event_rows.waiting),
    Step("timing", "a stream of its own", 4, event_rows.beside),
    Step("timing", "a replayed graph", 8, event_rows.graph),
    Step("timing", "a model", 10, event_rows.model),
    Step("power", "the counter", 8, power_rows.counter),
    Step("power", "equal windows", 25, power_rows.equal_windows),
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
