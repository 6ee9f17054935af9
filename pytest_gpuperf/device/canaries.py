"""Fixed work that runs no user code: what it takes says how the machine is today, never how the code is.

On the processor each kind of work stays on one core. More cores would time the neighbours' load as much as the machine,
and their number of threads is an environment variable away. A product of 64 x 64 is below the size from which
OpenBLAS starts threads; its matrices begin where a page does. The copy is larger than a core's own caches, and not so
large that it times a shared machine's memory.
Everything is allocated for a reading and freed after it, so that no workload's peak memory holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import quantiles
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pytest_gpuperf.device.clocks import Call, HostClock
from pytest_gpuperf.records.units import MiB

if TYPE_CHECKING:
    from pytest_gpuperf.device.choice import Chosen


_PAGE = 4096
_REPEATS = 9
_COPIED = 8 * MiB
_COPIED_CUDA = 256 * MiB  # beyond the L2 of any card
_SIDE = 64
_SIDE_CUDA = 4096
_PRODUCTS = 100  # in one repeat
_STEPS = 20_000  # of the host loop


def at_a_page(size: int) -> NDArray[np.uint8]:
    """Bytes that begin where a page does, and have been written: what never was is read from nowhere.

    NumPy's own begin anywhere; a matrix product takes 12 % longer where they do not begin at a cache line.
    """
    held = np.ones(size + _PAGE, dtype=np.uint8)
    return held[-held.ctypes.data % _PAGE :][:size]


class Canaries:
    """The fixed work of one device."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen

    def read(self) -> dict[str, float]:
        """Seconds of each canary: the lower quartile of a few repeats, which a passing disturbance leaves alone."""
        chosen = self._chosen
        if chosen.device.kind == "cuda":  # pragma: no cover - needs a GPU
            on_device, clock = _cuda_work(chosen.index or 0), chosen.clock
        else:
            on_device, clock = _cpu_work(), chosen.clock
        readings = {
            name: _lower_quartile(clock.block(work, _REPEATS + 1, 1).samples[1:]) for name, work in on_device.items()
        }
        return readings | {"loop": _lower_quartile(HostClock().latencies(_host_loop, _REPEATS))}


def _lower_quartile(samples: tuple[float, ...]) -> float:
    return quantiles(samples, n=4)[0]


def _cpu_work() -> Mapping[str, Call]:
    a, out = (at_a_page(4 * _SIDE * _SIDE).view(np.float32).reshape(_SIDE, _SIDE) for _ in range(2))
    np.copyto(a, np.linspace(-1, 1, a.size).reshape(a.shape))
    source, target = (at_a_page(_COPIED) for _ in range(2))

    def matmul() -> None:
        for _ in range(_PRODUCTS):
            np.matmul(a, a, out=out)

    def copy() -> None:
        np.copyto(target, source)

    return {"matmul": matmul, "copy": copy}


def _cuda_work(index: int) -> Mapping[str, Call]:  # pragma: no cover - needs a GPU
    import torch  # noqa: PLC0415 - three seconds that only a CUDA device is worth

    device = torch.device("cuda", index)
    # Half precision: float32 products depend on a setting (TF32) that the tests may change.
    a = torch.linspace(-1, 1, _SIDE_CUDA * _SIDE_CUDA, device=device).reshape(_SIDE_CUDA, _SIDE_CUDA).half()
    out = torch.empty_like(a)
    source = torch.ones(_COPIED_CUDA, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)

    def matmul() -> None:
        torch.matmul(a, a, out=out)

    def copy() -> None:
        target.copy_(source)

    return {"matmul": matmul, "copy": copy}


def _host_loop() -> int:
    total = 0
    for i in range(_STEPS):
        total += i * i
    return total
