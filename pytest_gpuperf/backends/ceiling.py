"""The most a device does: what a large matrix product and a large copy reach."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import torch

from pytest_gpuperf.backends.precisions import Precision, arithmetic
from pytest_gpuperf.records.model import Ceiling
from pytest_gpuperf.records.units import MiB

_SIDE = {"cpu": 512, "cuda": 8192}
_COPIED = {"cpu": 64 * MiB, "cuda": 1024 * MiB}
_CALLS = 8  # the best of them, after one that is not counted
_products: dict[tuple[Precision, torch.device, int], float] = {}  # the best of this process so far
_copies: dict[tuple[torch.device, int], float] = {}


def ceiling(precision: Precision, device: torch.device) -> Ceiling | None:
    """What this device can do in this precision; None of int8, which torch multiplies otherwise.

    The copy is measured once a process: bytes have no precision. The product is measured in every call, and the best
    of this process is kept: a machine whose neighbours are busy reaches its ceiling only at times.
    """
    if precision.quantised:
        return None
    threads = torch.get_num_threads()
    product, copy = (precision, device, threads), (device, threads)
    _products[product] = max(_product(precision, device), _products.get(product, 0.0))
    if copy not in _copies:
        _copies[copy] = _copy(device)
    return Ceiling(product=_products[product], copy=_copies[copy])


def _product(precision: Precision, device: torch.device) -> float:
    side = _SIDE[device.type]
    a = torch.linspace(-1, 1, side * side, device=device).reshape(side, side).to(precision.computes_in)
    out = torch.empty_like(a)
    with arithmetic(precision), torch.no_grad():
        return 2 * side**3 / _seconds(lambda: torch.matmul(a, a, out=out), device)


def _copy(device: torch.device) -> float:
    copied = _COPIED[device.type]
    source = torch.zeros(copied, dtype=torch.uint8, device=device)
    target = torch.ones_like(source)
    return 2 * copied / _seconds(lambda: target.copy_(source), device)


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
