"""What a workload says of its own work, and whether the time it took can be true."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from pytest_gpuperf.device.memory import is_out_of_memory
from pytest_gpuperf.errors import MeasurementError
from pytest_gpuperf.records.compile_cost import CompileCost
from pytest_gpuperf.records.model import Ceiling, Measurement

_LOOKS = 5  # for a better ceiling, before a measurement is called impossible: neighbours come and go
_IMPOSSIBLE = 2.0  # times the ceiling, by the host's clock: a neighbour can halve what the product reaches


@runtime_checkable
class Counted(Protocol):
    """A workload that knows its floating-point operations, and the device's ceiling in its precision."""

    @property
    def flops(self) -> int:
        """Of one call; a multiply-add is two."""
        ...

    def ceiling(self) -> Ceiling | None:
        """What the device can do: measured when this is called, or better before."""
        ...


def counted(measured: Measurement, workload: object) -> Measurement:
    """A measurement with what its workload counts. More than the device can do is an error: the clock missed work.

    The host's clock misses nothing that is waited for. By it a little more is a ceiling that was measured too low.
    Counting and the ceiling need memory and operators of their own. Where they fail, what was measured stands.
    """
    rate = share = 0.0
    for _ in range(_LOOKS):
        try:
            if not isinstance(workload, Counted):  # Python 3.11 reads its properties to know
                return measured
            measured = msgspec.structs.replace(measured, flops=workload.flops)
            measured = msgspec.structs.replace(measured, ceiling=workload.ceiling())
        except Exception as error:  # noqa: BLE001 - by a workload of anybody's
            return msgspec.structs.replace(measured, notes=(*measured.notes, _uncounted(measured, error)))
        rate, share = measured.flops_per_second or 0.0, measured.ceiling_share or 0.0
        if share <= 1:
            return measured
    if measured.clock == "host" and share <= _IMPOSSIBLE:
        low = f"the ceiling is not known: this does {share:.0%} of what a large matrix product reached just now"
        return msgspec.structs.replace(measured, ceiling=None, notes=(*measured.notes, low))
    raise MeasurementError(
        f"The workload seems to do {rate / 1e12:.3g} TFLOP/s, {share:.0%} of what a large matrix product reaches here. "
        f"Work was not done, or not waited for: look at its output, and at its streams. (Only 3x3 convolutions by "
        f"Winograd's method do with less than is counted, a quarter at least. If that is it, measure it uncounted: "
        f"gpuperf(network.made.run, *network.inputs).)"
    )


def _uncounted(measured: Measurement, error: Exception) -> str:
    what = "floating-point operations were not counted" if measured.flops is None else "the ceiling is not known"
    if is_out_of_memory(error):
        return f"{what}: the device had no memory left for that"
    return f"{what}: {type(error).__name__}: {str(error).partition(chr(10))[0]}"


def with_compile_cost(measured: Measurement, workload: object) -> Measurement:
    """A measurement with what its workload's back end took to compile it, before anything of it was called here."""
    cost: object = getattr(workload, "compile_cost", None)
    return msgspec.structs.replace(measured, compile_cost=cost) if isinstance(cost, CompileCost) else measured
