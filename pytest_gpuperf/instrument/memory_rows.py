"""Memory: a planted leak is found, a clean test passes, a peak is as high as it is, and running out is survived."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from pytest_gpuperf.device.choice import Chosen
from pytest_gpuperf.device.readings import known
from pytest_gpuperf.errors import MeasurementError, OutOfMemoryError, UnavailableError
from pytest_gpuperf.instrument.repeats import measured_once
from pytest_gpuperf.measure.gpu import Gpu
from pytest_gpuperf.measure.plan import Plan
from pytest_gpuperf.records.certificate import Row, impossible, judged
from pytest_gpuperf.records.units import MiB, format_bytes

held = partial(judged, "memory")

_LEAK = 600 * MiB  # more than what libraries may keep
_PEAK = 256 * MiB
_PEAK_BAR = 0.1
_PLAN = Plan(budget=0.5)
_TOO_MUCH = 1 << 49  # bytes: no machine has them

Allocate = Callable[[int], object]  # bytes, each of them touched


def of_process(chosen: Chosen) -> Iterator[Row]:
    """The memory of this process."""
    yield from _rows(chosen, partial(np.ones, dtype=np.uint8), partial(np.empty, dtype=np.uint8))


def of_gpu(chosen: Chosen) -> Iterator[Row]:  # pragma: no cover - needs a GPU
    """The memory of a card."""
    import torch  # noqa: PLC0415

    how = {"dtype": torch.uint8, "device": chosen.torch_name}
    yield from _rows(chosen, partial(torch.ones, **how), partial(torch.empty, **how))


def _rows(chosen: Chosen, allocate: Allocate, reserve: Allocate) -> Iterator[Row]:
    gpu = Gpu(chosen)
    allocate(_PEAK)
    yield _released("a test that frees what it took", gpu, leaks=False)
    gpu = Gpu(chosen)
    kept = allocate(_LEAK)
    yield _released(f"a leak of {format_bytes(_LEAK)}", gpu, leaks=True)
    del kept
    yield _peak(chosen, allocate)
    yield _exhausted(chosen, reserve)
    try:
        allocate(_PEAK)
    except (RuntimeError, MemoryError) as error:
        yield held("the next allocation", f"failed: {error}", "possible", holds=False)
    else:
        yield held("the next allocation", f"{format_bytes(_PEAK)} were had", "possible", holds=True)


def _released(what: str, gpu: Gpu, *, leaks: bool) -> Row:
    bar = "is found" if leaks else "passes"
    try:
        gpu.assert_memory_released()
    except UnavailableError as error:
        return impossible("memory", what, str(error))
    except AssertionError as error:
        return held(what, str(error).partition(":")[0], bar, holds=leaks)
    return held(what, "passes", bar, holds=not leaks)


def _peak(chosen: Chosen, allocate: Allocate) -> Row:
    what = f"the peak of a call that takes {format_bytes(_PEAK)}"
    before = chosen.memory.allocated()
    if before is None:
        before = known(chosen.sensors.memory_in_use()) or 0
    found = measured_once(lambda: allocate(_PEAK), chosen, _PLAN)
    if found.peak_memory is None:
        return impossible("memory", what, f"{found.memory_source} cannot be read here")
    rise = found.peak_memory - before
    figure = f"{format_bytes(rise)} ({found.memory_source})"
    return held(what, figure, f"within {_PEAK_BAR:.0%}", holds=abs(rise / _PEAK - 1) <= _PEAK_BAR)


def _exhausted(chosen: Chosen, reserve: Allocate) -> Row:
    what, bar = "more memory than there can be", "an OutOfMemoryError"
    try:
        measured_once(lambda: reserve(_TOO_MUCH), chosen, _PLAN)
    except MeasurementError as error:
        return held(what, type(error).__name__, bar, holds=isinstance(error, OutOfMemoryError))
    return held(what, "was had", bar, holds=False)
