"""Which device a session measures on. torch is imported only where a CUDA device may be there."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from pytest_gpuperf.device import cuda, identity
from pytest_gpuperf.device.clocks import Clock, HostClock
from pytest_gpuperf.device.memory import MemoryMeter, ResidentMemory
from pytest_gpuperf.device.readings import known
from pytest_gpuperf.device.sensors import Sensors, cpu_sensors
from pytest_gpuperf.errors import DeviceError, UsageError
from pytest_gpuperf.results.records import Device, Environment


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

    def environment(self) -> Environment:
        """What a run says of where its figures come from."""
        return Environment(device=self.device, software=self.software)


def choose_device(request: str) -> Chosen:
    """Resolve ``auto``, ``cuda``, ``cuda:N`` or ``cpu``."""
    if not re.fullmatch(r"auto|cpu|cuda|cuda:\d{1,4}", request):
        raise UsageError(
            f"{request!r} is no device. Write --gpuperf-device with one of: auto, cuda, cuda:N (N from 0), cpu."
        )
    if request == "cpu":
        return _cpu()
    missing = cuda.why_missing()
    if missing is None:  # pragma: no cover - needs a GPU
        return _cuda(int(request[5:]) if ":" in request else None)
    if request == "auto":
        return replace(_cpu(), passed_over=missing if identity.nvidia_cards() else None)
    raise DeviceError(f"--gpuperf-device {request}: {missing} To measure on the processor: --gpuperf-device cpu.")


def _cpu() -> Chosen:
    return Chosen(
        device=identity.cpu_device(),
        index=None,
        card=None,
        software=identity.software(),
        clock=HostClock(),
        memory=ResidentMemory(),
        sensors=cpu_sensors(),
    )


def _cuda(index: int | None) -> Chosen:  # pragma: no cover - needs a GPU
    from pytest_gpuperf.device import processes  # noqa: PLC0415 - NVML, which a machine without a GPU need not load
    from pytest_gpuperf.device.health import identified, settings  # noqa: PLC0415
    from pytest_gpuperf.device.sensors import card_sensors  # noqa: PLC0415
    from pytest_gpuperf.device.visible import visible_devices  # noqa: PLC0415

    with processes.opening(*(known(visible_devices()) or ())):
        card = cuda.open_card(index)
    sensors = card_sensors(card.uuid, card.pci)
    nvml = sensors.card
    return Chosen(
        device=card.device if nvml is None else identified(card.device, nvml),
        index=card.index,
        card=card.hash,
        software=identity.software() | card.software | ({} if nvml is None else settings(nvml)),
        clock=card.clock,
        memory=card.memory,
        sensors=sensors,
    )
