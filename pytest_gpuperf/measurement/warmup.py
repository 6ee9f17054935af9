"""Calls before the timed ones: until they get no faster, and never longer than the plan allows.

The fastest window is what tells: on a busy machine windows never agree, but what is disturbed is only slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from pytest_gpuperf.device.clocks import Call, Clock
from pytest_gpuperf.measurement.plan import Plan

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
