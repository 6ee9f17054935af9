"""Making a workload slower by a known share, with real extra work in its timed region: for the self-test."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_gpuperf.device.choice import Chosen

PROBES = 25  # timings whose least counts: what neighbours add is neither's cost ...
ENOUGH = 0.3  # ... or as many as fit into so many seconds, and at least ...
FEWEST = 3
CALLS = 20  # of the workload in one timing, or as many as last ...
TIMING = 1e-3  # ... so long
ITERATIONS = 20_000  # of the extra loop, to learn about what one costs
CORRECTIONS = 4  # a short loop costs less an iteration than a long one, and asking for it costs something too


def slowed(call: Callable[[], object], share: float, chosen: Chosen) -> Callable[[], object]:
    """The workload, followed by extra work on the device that does the work: so much that it takes that share more."""
    work = _host_loop if chosen.device.kind == "cpu" else _device_spin()
    for _ in range(3):
        call()
    calls = max(1, min(CALLS, int(TIMING / _least(call, 1, chosen))))
    iteration = _least(lambda: work(ITERATIONS), 1, chosen) / ITERATIONS
    extra = 0
    for _ in range(CORRECTIONS):
        plain = _least(call, calls, chosen)
        wanted = (1 + share) * plain - _least(_followed(call, work, extra), calls, chosen)
        extra = max(0, extra + round(wanted / iteration))
    return _followed(call, work, extra)


def _followed(call: Callable[[], object], work: Callable[[int], None], extra: int) -> Callable[[], object]:
    def run() -> object:
        result = call()
        work(extra)
        return result

    return run


def _host_loop(iterations: int) -> None:
    for _ in range(iterations):
        pass


def _device_spin() -> Callable[[int], None]:  # pragma: no cover - needs a GPU
    from torch import cuda  # noqa: PLC0415 - only where the device is a GPU

    untyped: Any = cuda
    return untyped._sleep  # noqa: SLF001 - the one kernel that does nothing for a given number of cycles


def _least(do: Callable[[], object], calls: int, chosen: Chosen) -> float:
    """Seconds a call."""
    least, spent, probes = inf, 0.0, 0
    while probes < FEWEST or (probes < PROBES and spent < ENOUGH):
        seconds = _timed(do, calls, chosen)
        least, spent, probes = min(least, seconds), spent + seconds, probes + 1
    return least / calls


def _timed(do: Callable[[], object], calls: int, chosen: Chosen) -> float:
    chosen.clock.synchronize()
    start = perf_counter()
    for _ in range(calls):
        do()
    chosen.clock.synchronize()
    return perf_counter() - start
