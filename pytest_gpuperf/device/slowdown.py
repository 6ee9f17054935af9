"""Making a workload slower by a known share, with real extra work in its timed region: for the self-test."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_gpuperf.device.choice import Chosen

PROBES = 25  # timings whose least counts: what neighbours add is neither's cost
CALLS = 20  # calls of the workload to one timing
ITERATIONS = 20_000  # of the extra loop, to learn what one costs


def slowed(call: Callable[[], object], share: float, chosen: Chosen) -> Callable[[], object]:
    """The workload, followed by extra work that takes that share of its time, on the device that does the work."""
    work = _host_loop if chosen.device.kind == "cpu" else _device_spin()
    for _ in range(3):
        call()
    once = _seconds(lambda: _repeat(call, CALLS), chosen) / CALLS
    iteration = _seconds(lambda: work(ITERATIONS), chosen) / ITERATIONS
    extra = max(1, round(share * once / iteration))

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


def _repeat(call: Callable[[], object], times: int) -> None:
    for _ in range(times):
        call()


def _seconds(do: Callable[[], object], chosen: Chosen) -> float:
    def timed() -> float:
        chosen.clock.synchronize()
        start = perf_counter()
        do()
        chosen.clock.synchronize()
        return perf_counter() - start

    return min(timed() for _ in range(PROBES))
