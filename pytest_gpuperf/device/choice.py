"""Which device a session measures on. torch is imported only where a CUDA device may be there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING

from pytest_gpuperf.device import cuda, identity, numa
from pytest_gpuperf.device.clocks import Clock, HostClock
from pytest_gpuperf.device.counter import CpuMeter, Meter
from pytest_gpuperf.device.memory import MemoryMeter, ResidentMemory
from pytest_gpuperf.device.readings import Missing, Reading, known
from pytest_gpuperf.errors import DeviceError, UsageError
from pytest_gpuperf.records.model import Device, Environment

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
    """The sensors of the processor. Its idle power depends on what everybody else runs, so it is not read here."""
    idle = Missing("unsupported", "the idle power of a processor that others use too says nothing")
    return Sensors(CpuMeter(), None, None, idle, lambda: _resident(process))


def card_sensors(uuid: str | None, pci: str | None) -> Sensors:
    """The sensors of a GPU, found by its UUID or else by its PCI bus id."""
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


@dataclass(frozen=True)
class Chosen:
    """The device of a session, and how it is measured."""

    device: Device
    index: int | None  # CUDA only
    card: str | None  # hash of the card's UUID
    software: dict[str, str]
    clock: Clock
    memory: MemoryMeter
    sensors: Sensors
    passed_over: str | None = None  # why a card of this machine is not used, though nobody asked for the processor

    @property
    def torch_name(self) -> str:
        """As torch names it: "cuda:0" or "cpu"."""
        return "cpu" if self.index is None else f"cuda:{self.index}"

    def environment(self) -> Environment:
        """What a run says of where its figures come from."""
        return Environment(device=self.device, software=self.software)


def choose_device(request: str) -> Chosen:
    """Resolve ``auto``, ``cuda``, ``cuda:N`` or ``cpu``."""
    if not re.fullmatch(r"auto|cpu|cuda|cuda:\d{1,4}", request):
        raise UsageError(f"{request!r} is not a device. Choose one of: auto, cuda, cuda:N (N from 0), cpu.")
    if request == "cpu":
        return _cpu()
    missing = cuda.why_missing()
    if missing is None:  # pragma: no cover - needs a GPU
        return _cuda(int(request[5:]) if ":" in request else None)
    if request == "auto":
        return replace(_cpu(), passed_over=missing if identity.nvidia_cards() else None)
    raise DeviceError(f"{request}: {missing} {cuda.ON_PROCESSOR}")


def _cpu() -> Chosen:
    return Chosen(
        device=identity.cpu_device(),
        index=None,
        card=None,
        software=identity.software() | _where(None),
        clock=HostClock(),
        memory=ResidentMemory(),
        sensors=cpu_sensors(),
    )


def _where(pci: Reading[str] | None) -> dict[str, str]:
    """On which NUMA nodes this session runs; nothing on a machine of one node."""
    place = numa.where_it_runs(None if pci is None else numa.gpu_node(pci))
    return {} if place is None else {"numa": place}


def _cuda(index: int | None) -> Chosen:  # pragma: no cover - needs a GPU
    from pytest_gpuperf.device import processes  # noqa: PLC0415 - NVML, which a machine without a GPU need not load
    from pytest_gpuperf.device.health import identified, settings  # noqa: PLC0415
    from pytest_gpuperf.device.visible import visible_devices  # noqa: PLC0415

    with processes.opening(*(known(visible_devices()) or ())):
        card = cuda.open_card(index)
    sensors = card_sensors(card.uuid, card.pci)
    nvml = sensors.card
    pci = Missing("unsupported", "this torch does not tell the PCI address") if card.pci is None else card.pci
    return Chosen(
        device=card.device if nvml is None else identified(card.device, nvml),
        index=card.index,
        card=card.hash,
        software=identity.software() | card.software | ({} if nvml is None else settings(nvml)) | _where(pci),
        clock=card.clock,
        memory=card.memory,
        sensors=sensors,
    )
