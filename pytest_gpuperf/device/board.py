"""The energy of a GPU's board, and whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_gpuperf.device import processes
from pytest_gpuperf.device.readings import Missing, Reading

if TYPE_CHECKING:
    from pytest_gpuperf.device.nvml import NvmlDevice


class GpuMeter:
    """The board of one GPU."""

    wraps_at = None

    def __init__(self, device: NvmlDevice) -> None:
        self._device = device
        self._instant = not isinstance(device.instant_power(), Missing)

    @property
    def name(self) -> str:
        return "GPU board, instant power" if self._instant else "GPU board, power as a mean of up to 1 s"

    def energy(self) -> Reading[float]:
        return self._device.energy()

    def power(self) -> Reading[float]:
        return self._device.power()

    def refused(self) -> Missing | None:
        if self._device.is_mig:
            return Missing(
                "not attributable",
                "this is a MIG instance, and power is measured for the whole board. Use a GPU that is not divided.",
            )
        others = processes.foreign(self._device)
        if isinstance(others, Missing):
            return others if others.why == "lost" else None
        if others:
            return Missing(
                "not attributable",
                f"{_listed(others)} on this GPU too, and power is measured for the whole board. "
                f"See who it is: nvidia-smi",
            )
        return None


def _listed(pids: Sequence[int]) -> str:
    words = ", ".join(map(str, pids[:3])) + (", ..." if len(pids) > 3 else "")
    return f"process {words} computes" if len(pids) == 1 else f"{len(pids)} other processes ({words}) compute"
