"""Calls before the timed ones: until they get no faster, and never longer than the plan allows.

The fastest window decides: on a busy machine windows never agree, but what is disturbed is only slower. A card
goes on until its clock stands still: a burst runs faster than what lasts. Large products began at 1980 MHz on an H200,
and came down to 1545 after 0.2 s, held by its power limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from statistics import median

from pytest_gpuperf.device.clocks import Call, Clock
from pytest_gpuperf.measure.plan import Plan

_MOST_CALLS = 10_000  # a window: more would be a list of times that the workload's memory is measured with


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What came before the timed phase."""

    calls: int
    seconds: float
    call_seconds: float  # one call in the fastest window, by the host's clock, synchronised


def warm_up(call: Call, plan: Plan, clock: Clock) -> WarmUp:
    """Call until the last windows brought no gain, or the cap is reached; always once.

    The first call may have compiled something: only a second one tells how many fit.
    """
    start = clock.now()
    (estimate,) = clock.latencies(call, 1)
    fastest = estimate
    calls = 1
    without_gain = 0
    while without_gain < plan.warmup_windows:
        left = plan.warmup_cap - (clock.now() - start)
        if estimate > left:
            break
        count = max(1, min(_MOST_CALLS, int(min(plan.warmup_window, left) / estimate)))
        # The median: one call that the machine interrupted would make a window of short ones several times longer.
        estimate = median(clock.latencies(call, count))
        calls += count
        without_gain = 0 if estimate < (1 - plan.warmup_gain) * fastest else without_gain + 1
        fastest = min(fastest, estimate)
    return WarmUp(calls, clock.now() - start, fastest)


def sustain(
    load: Callable[[int], object], span: float, plan: Plan, clock: Clock, megahertz: Callable[[], float | None]
) -> tuple[int, float]:
    """Run spans of the load until the card's clock stands still under it, or the cap is reached.

    Returns how many spans, and the seconds they took; none where the clock is not known.
    """
    start = clock.now()
    most = max(1, ceil(plan.warmup_window / span))
    readings: list[tuple[float, float]] = []
    spans = 0
    while (reading := megahertz()) is not None:
        spent = clock.now() - start
        readings.append((spent, reading))
        recent = [clocks for at, clocks in readings if at >= spent - plan.sustained_seconds]
        still = max(recent) <= (1 + plan.sustained_spread) * min(recent)
        if (still and spent >= plan.sustained_seconds) or spent + most * span > plan.warmup_cap:
            break
        load(most)
        spans += most
    return spans, clock.now() - start
