"""Measuring the same thing again: how far the figures lie apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median, stdev
from time import perf_counter

from pytest_gpuperf.device.choice import Chosen
from pytest_gpuperf.device.clocks import Call, Clock
from pytest_gpuperf.measure.plan import Plan
from pytest_gpuperf.measure.sampler import calls_per_span, measure
from pytest_gpuperf.records.certificate import Row, judged
from pytest_gpuperf.records.model import Measurement
from pytest_gpuperf.records.units import format_seconds

held = partial(judged, "timing")

_REPEATS = 5
_PLAN = Plan(budget=1.0)
_WARM = 0.3  # seconds


def repeats(what: str, call: Call, chosen: Chosen, bar: float) -> Row:
    """Five measurements of the same call, as a test would make them."""
    measured = [measured_once(call, chosen, _PLAN) for _ in range(_REPEATS)]
    found = [m.device_time.median for m in measured]
    deviation = stdev(found) / median(found)
    figure = (
        f"{format_seconds(median(found))} a call, {measured[0].span_calls} a span; standard deviation {deviation:.2%}, "
        f"widest {spread(found):.2%}"
    )
    return held(f"{what}: measured {_REPEATS} times", figure, f"<= {bar:.1%}", holds=deviation <= bar)


def measured_once(call: Call, chosen: Chosen, plan: Plan) -> Measurement:
    """What a test would get."""
    return measure(call, items=1, plan=plan, clock=chosen.clock, memory=chosen.memory, session="certificate")


def spread(values: Sequence[float]) -> float:
    """How far the farthest lies from their median, as a share of it."""
    middle = median(values)
    return max(abs(value - middle) for value in values) / middle


def span_calls(call: Call, clock: Clock) -> int:
    """How many calls a span of a measurement would have."""
    return calls_per_span(call, Plan(), clock, median(clock.block(call, 5, 1).samples))


def pause_between_calls(kernels: Sequence[tuple[float, float]], calls: int) -> float:
    """The device's pause between two calls, from the start and end of every kernel, in order; 0 where none is seen.

    The kernels of a graph's replay come 5 us after the ones before: a call that follows another takes that long more.
    """
    each, rest = divmod(len(kernels), calls)
    if calls == 1 or rest:
        return 0.0
    return median(kernels[i][0] - kernels[i - 1][1] for i in range(each, len(kernels), each))


def warm(call: Call, synchronize: Callable[[], None], seconds: float = _WARM) -> None:
    """Call it for a while."""
    end = perf_counter() + seconds
    while perf_counter() < end:
        for _ in range(10):
            call()
        synchronize()
