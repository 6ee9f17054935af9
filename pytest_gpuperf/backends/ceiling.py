"""The most a device does: what a large matrix product and a large copy reach."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import torch

from pytest_gpuperf.backends.precisions import Precision, arithmetic
from pytest_gpuperf.results.records import Ceiling
from pytest_gpuperf.results.units import MiB

_SIDE = {"cpu": 512, "cuda": 8192}
_COPIED = {"cpu": 64 * MiB, "cuda": 1024 * MiB}
_CALLS = 8  # the best of them, after one that is not counted
_best: dict[tuple[Precision, torch.device, int], Ceiling] = {}  # of this process so far


def ceiling(precision: Precision, device: torch.device) -> Ceiling | None:
    """What this device can do in this precision: measured now, or better than that, earlier in this process.

    A machine whose neighbours are busy shows its ceiling at times only. None of int8, which torch multiplies otherwise.
    """
    if precision.quantised:
        return None
    key = precision, device, torch.get_num_threads()
    now, before = _measured(precision, device), _best.get(key)
    if before is not None:
        now = Ceiling(product=max(now.product, before.product), copy=max(now.copy, before.copy))
    _best[key] = now
    return now


def _measured(precision: Precision, device: torch.device) -> Ceiling:
    side, copied = _SIDE[device.type], _COPIED[device.type]
    a = torch.linspace(-1, 1, side * side, device=device).reshape(side, side).to(precision.computes_in)
    out = torch.empty_like(a)
    with arithmetic(precision), torch.no_grad():
        product = _seconds(lambda: torch.matmul(a, a, out=out), device)
    source = torch.zeros(copied, dtype=torch.uint8, device=device)
    target = torch.ones_like(source)
    copy = _seconds(lambda: target.copy_(source), device)
    return Ceiling(product=2 * side**3 / product, copy=2 * copied / copy)


def _seconds(do: Callable[[], object], device: torch.device) -> float:
    do()
    return min(_once(do, device) for _ in range(_CALLS))


def _once(do: Callable[[], object], device: torch.device) -> float:
    _synchronize(device)
    start = perf_counter()
    do()
    _synchronize(device)
    return perf_counter() - start


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":  # pragma: no cover - needs a GPU
        torch.cuda.synchronize(device)
