"""What a chosen device can tell of itself beside its clock: power, energy, health, memory in use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING

from pytest_gpuperf.device.meters import Meter
from pytest_gpuperf.device.rapl import CpuMeter
from pytest_gpuperf.device.readings import Missing, Reading

if TYPE_CHECKING:
    from pytest_gpuperf.device.nvml import NvmlDevice

_IDLE_READINGS = 6
_IDLE_PAUSE = 0.05


@dataclass(frozen=True)
class Sensors:
    """The sensors of one device."""

    meter: Meter
    card: NvmlDevice | None  # a GPU's; None on the CPU, and where NVML cannot be had
    missing: Missing | None  # why there is no card where there is a GPU
    idle_watts: Reading[float]  # before any work of this session
    memory_in_use: Callable[[], Reading[int]]  # bytes, ours

    @property
    def one_process(self) -> bool:
        """Whether the device serves one process alone (compute mode "exclusive process")."""
        return self.card is not None and self.card.exclusive() is True


def cpu_sensors(process: Path = Path("/proc/self")) -> Sensors:
    """The processor's. Its idle power is everybody's business and changes with them: it is not taken here."""
    idle = Missing("unsupported", "the idle power of a processor that others use too says nothing")
    return Sensors(CpuMeter(), None, None, idle, lambda: _resident(process))


def card_sensors(uuid: str | None, pci: str | None) -> Sensors:
    """A GPU's, found by its UUID or else by its PCI bus id."""
    from pytest_gpuperf.device import nvml  # noqa: PLC0415 - a session without a GPU need not load it

    card = nvml.find(uuid, pci)
    if isinstance(card, Missing):
        return Sensors(_NoMeter(card), None, card, card, lambda: card)
    return sensors_of(card)


def sensors_of(card: NvmlDevice) -> Sensors:
    """The sensors of a card that was found."""
    from pytest_gpuperf.device.board import GpuMeter  # noqa: PLC0415
    from pytest_gpuperf.device.processes import own_memory  # noqa: PLC0415

    meter = GpuMeter(card)
    return Sensors(meter, card, None, _idle(meter), lambda: own_memory(card))


def _idle(meter: Meter) -> Reading[float]:
    """The lowest of a few readings: whatever ran just before may still show in the first ones."""
    lowest: Reading[float] = meter.refused() or meter.power()
    for _ in range(_IDLE_READINGS):
        if isinstance(lowest, Missing):
            break
        sleep(_IDLE_PAUSE)
        watts = meter.power()
        lowest = watts if isinstance(watts, Missing) else min(lowest, watts)
    return lowest


def _resident(process: Path) -> Reading[int]:
    try:
        lines = (process / "status").read_text().splitlines()
    except OSError as error:
        return Missing("failed", f"the memory of this process cannot be read: {error}")
    held = next((line.split()[1] for line in lines if line.startswith("VmRSS:")), None)
    return Missing("unsupported", "this system does not tell it") if held is None else int(held) * 1024


@dataclass(frozen=True)
class _NoMeter:
    """A GPU that NVML does not know, or a machine without NVML: every reading says why."""

    why: Missing
    name: str = "no power meter"
    wraps_at: None = None

    def energy(self) -> Reading[float]:
        return self.why

    def power(self) -> Reading[float]:
        return self.why

    def refused(self) -> Missing | None:
        return self.why
