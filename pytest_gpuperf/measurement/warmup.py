"""Calls before the timed ones: until they take equally long, and never longer than the plan allows."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_gpuperf.device.clocks import Call, Clock
from pytest_gpuperf.measurement.plan import Plan


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What came before the timed phase."""

    calls: int
    seconds: float
    call_seconds: float  # the last estimate of one call, on the host's clock


def warm_up(call: Call, plan: Plan, clock: Clock) -> WarmUp:
    """Call until the last windows agree, or the cap is reached; always once.

    The first call may have compiled something: only a second one tells how many fit.
    """
    start = clock.now()
    estimate = _window(call, 1, clock)
    calls = 1
    windows: list[float] = []
    while not _agree(windows[-plan.warmup_windows :], plan):
        left = plan.warmup_cap - (clock.now() - start)
        if estimate > left:
            break
        count = max(1, int(min(plan.warmup_window, left) / estimate))
        estimate = _window(call, count, clock)
        calls += count
        windows.append(estimate)
    return WarmUp(calls, clock.now() - start, estimate)


def _agree(windows: list[float], plan: Plan) -> bool:
    if len(windows) < plan.warmup_windows or max(windows) > (1 + plan.warmup_agreement) * min(windows):
        return False
    # Neighbours agree on a slow descent too: the last one may not be the fastest yet.
    return windows[-1] >= (1 - plan.warmup_descent) * min(windows[:-1])


def _window(call: Call, count: int, clock: Clock) -> float:
    clock.synchronize()
    start = clock.now()
    for _ in range(count):
        call()
    clock.synchronize()
    # A timer that did not move yet: as many calls as a nanosecond a call allows.
    return max(clock.now() - start, 1e-9 * count) / count
