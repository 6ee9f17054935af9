"""NVIDIA's management library, through `pynvml`: the one file that knows it.

Nothing here raises: every reading is a value, or a `Missing` that says why there is none.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pynvml

from pytest_gpuperf.device.readings import Missing, Reading, Why, known

_INSTANT_POWER = 186  # NVML_FI_DEV_POWER_INSTANT: older bindings do not name it
_UNCORRECTED, _VOLATILE = 1, 0
_SM = 1
_LINKS = 36

_REASONS: dict[int, tuple[Why, str]] = {
    3: ("unsupported", "this GPU does not support it"),
    4: ("permission", "no permission (run as root, or ask the administrator)"),
    9: ("library", "the NVIDIA driver is not loaded; see what is wrong: nvidia-smi"),
    12: ("library", "libnvidia-ml.so.1 was not found; it comes with the NVIDIA driver"),
    13: ("unsupported", "this driver is too old for it"),
    15: ("lost", "the GPU is lost (it fell off the bus, or its driver failed); see: dmesg | grep -i xid"),
    16: ("lost", "the GPU needs a reset; see: nvidia-smi -q"),
    18: ("library", "the NVIDIA driver and its library are of different versions; reboot, or restart the container"),
    28: ("lost", "the GPU is no longer there; see: nvidia-smi -L"),
}


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes of a device's memory, everybody's."""

    total: int
    used: int


@dataclass(frozen=True, slots=True)
class Process:
    """Somebody who uses the GPU."""

    pid: int  # as the host counts, also inside a container
    memory: int | None  # bytes; not known everywhere


def _call(function: str, *arguments: Any) -> Any:
    """What NVML answers, or why it does not."""
    try:
        return getattr(pynvml, function)(*arguments)
    except pynvml.NVMLError as error:
        code: int = error.value  # pyright: ignore[reportAttributeAccessIssue] - pynvml sets it in __new__
        why, reason = _REASONS.get(code, ("failed", f"NVML failed with code {code}"))
        return Missing(why, f"{function}: {reason}")
    except pynvml.NVMLLibraryMismatchError:
        return Missing("unsupported", f"{function}: this driver has it under an older name")
    except AttributeError:
        return Missing("unsupported", f"{function}: the installed nvidia-ml-py does not have it")


def open_library() -> Missing | None:
    """Load NVML; returns why that was not possible. NVML counts how often it was opened: again, it costs nothing."""
    opened = _call("nvmlInit")
    return opened if isinstance(opened, Missing) else None


def driver_version() -> Reading[str]:
    """The version of the driver."""
    return _call("nvmlSystemGetDriverVersion")


def gpus() -> Reading[tuple[NvmlDevice, ...]]:
    """All whole GPUs of the machine, as NVML numbers them: by PCI bus."""
    failed = open_library()
    count = failed or _call("nvmlDeviceGetCount")
    if isinstance(count, Missing):
        return count
    return tuple(NvmlDevice(_call("nvmlDeviceGetHandleByIndex", i)) for i in range(count))


def find(uuid: str | None, pci: str | None = None) -> Reading[NvmlDevice]:
    """A device by its UUID, with or without the prefix; else by its PCI bus id. Never by a number."""
    failed = open_library()
    if failed is not None:
        return failed
    tried: list[Reading[Any]] = []
    if uuid is not None:
        names = [uuid] if uuid.startswith(("GPU-", "MIG-")) else [f"GPU-{uuid}", f"MIG-{uuid}"]
        tried += [_call("nvmlDeviceGetHandleByUUID", name) for name in names]
    if pci is not None:
        tried.append(_call("nvmlDeviceGetHandleByPciBusId", pci))
    handle = next((h for h in tried if not isinstance(h, Missing)), None)
    if handle is not None:
        return NvmlDevice(handle)
    lost = next((h for h in tried if isinstance(h, Missing) and h.why == "lost"), None)
    return lost or Missing("failed", f"NVML knows no device with the UUID {uuid} or the PCI bus id {pci}")


class NvmlDevice:
    """One GPU or MIG instance."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def _read(self, function: str, *arguments: Any) -> Any:
        if isinstance(self._handle, Missing):
            return self._handle
        return _call(function, self._handle, *arguments)

    def _read_board(self, function: str, *arguments: Any) -> Any:
        """Sensors belong to the whole GPU."""
        return self.board._read(function, *arguments)  # noqa: SLF001 - another of us

    @cached_property
    def uuid(self) -> Reading[str]:
        return self._read("nvmlDeviceGetUUID")

    @cached_property
    def name(self) -> Reading[str]:
        return self._read("nvmlDeviceGetName")

    @cached_property
    def pci(self) -> Reading[str]:
        info = self._read("nvmlDeviceGetPciInfo")
        return info if isinstance(info, Missing) else _text(info.busId)

    @cached_property
    def capability(self) -> Reading[str]:
        version = self._read("nvmlDeviceGetCudaComputeCapability")
        return version if isinstance(version, Missing) else ".".join(map(str, version))

    @cached_property
    def is_mig(self) -> bool:
        """Whether this is a MIG instance: a part of a GPU."""
        found = self._read("nvmlDeviceIsMigDeviceHandle")
        return not isinstance(found, Missing) and bool(found.value)

    @cached_property
    def mig_profile(self) -> str | None:
        """The kind of MIG instance ("3g.20gb"), None for a whole GPU."""
        return (known(self.name) or "").rpartition("MIG ")[2] or "unknown" if self.is_mig else None

    @cached_property
    def board(self) -> NvmlDevice:
        """The whole GPU: where the sensors are."""
        if not self.is_mig:
            return self
        return NvmlDevice(self._read("nvmlDeviceGetDeviceHandleFromMigDeviceHandle"))

    def mig_enabled(self) -> Reading[bool]:
        """Whether the whole GPU is divided into MIG instances."""
        mode = self._read_board("nvmlDeviceGetMigMode")
        return mode if isinstance(mode, Missing) else bool(mode[0])

    def instances(self) -> tuple[NvmlDevice, ...]:
        """The MIG instances of this GPU."""
        most = known(self._read("nvmlDeviceGetMaxMigDeviceCount")) or 0
        found = [self._read("nvmlDeviceGetMigDeviceHandleByIndex", i) for i in range(most)]
        return tuple(NvmlDevice(handle) for handle in found if not isinstance(handle, Missing))

    def memory(self) -> Reading[MemoryUse]:
        info = self._read("nvmlDeviceGetMemoryInfo")
        return info if isinstance(info, Missing) else MemoryUse(int(info.total), int(info.used))

    def instant_power(self) -> Reading[float]:
        """Watts at this moment."""
        values = self._read_board("nvmlDeviceGetFieldValues", [_INSTANT_POWER])
        if isinstance(values, Missing):
            return values
        why, reason = _REASONS.get(values[0].nvmlReturn, ("failed", f"code {values[0].nvmlReturn}"))
        if values[0].nvmlReturn != 0:
            return Missing(why, f"instant power: {reason}")
        return values[0].value.uiVal / 1e3

    def mean_power(self) -> Reading[float]:
        """Watts, on many parts the mean of the last second."""
        return _scaled(self._read_board("nvmlDeviceGetPowerUsage"))

    def power(self) -> Reading[float]:
        """Watts: of this moment where the driver tells them, else the mean."""
        instant = self.instant_power()
        return self.mean_power() if isinstance(instant, Missing) and instant.why == "unsupported" else instant

    def energy(self) -> Reading[float]:
        """Joules since the driver was loaded; the counter moves every 10 to 100 ms."""
        return _scaled(self._read_board("nvmlDeviceGetTotalEnergyConsumption"))

    def power_limit(self) -> Reading[float]:
        """Watts that the board is held to now."""
        return _scaled(self._read_board("nvmlDeviceGetEnforcedPowerLimit"))

    def default_power_limit(self) -> Reading[float]:
        return _scaled(self._read_board("nvmlDeviceGetPowerManagementDefaultLimit"))

    def clock_reasons(self) -> Reading[int]:
        """Why the clock is where it is: a set of bits. Drivers before 535 have it under another name."""
        reasons = self._read_board("nvmlDeviceGetCurrentClocksEventReasons")
        if isinstance(reasons, Missing) and reasons.why == "unsupported":
            return self._read_board("nvmlDeviceGetCurrentClocksThrottleReasons")
        return reasons

    def violation(self, policy: int) -> Reading[float]:
        """Seconds, since the driver was loaded, that a limit has held the clock down."""
        status = self._read_board("nvmlDeviceGetViolationStatus", policy)
        return status if isinstance(status, Missing) else status.violationTime * 1e-9

    def temperature(self) -> Reading[int]:
        """Degrees Celsius."""
        return self._read_board("nvmlDeviceGetTemperature", 0)

    def sm_clock(self) -> Reading[int]:
        """MHz."""
        return self._read_board("nvmlDeviceGetClockInfo", _SM)

    def max_sm_clock(self) -> Reading[int]:
        return self._read_board("nvmlDeviceGetMaxClockInfo", _SM)

    def utilization(self) -> Reading[int]:
        """Percent of the last sampling period in which some kernel ran: shown, never decisive."""
        rates = self._read_board("nvmlDeviceGetUtilizationRates")
        return rates if isinstance(rates, Missing) else int(rates.gpu)

    def processes(self) -> Reading[tuple[Process, ...]]:
        """Who computes on this device."""
        found = self._read("nvmlDeviceGetComputeRunningProcesses")
        if isinstance(found, Missing) and found.why == "unsupported":
            found = self._read("nvmlDeviceGetComputeRunningProcesses_v2")
        if isinstance(found, Missing):
            return found
        return tuple(Process(int(p.pid), p.usedGpuMemory) for p in found)

    def persistence(self) -> Reading[bool]:
        mode = self._read_board("nvmlDeviceGetPersistenceMode")
        return mode if isinstance(mode, Missing) else bool(mode)

    def exclusive(self) -> Reading[bool]:
        """Whether only one process may compute on it at a time."""
        mode = self._read_board("nvmlDeviceGetComputeMode")
        return mode if isinstance(mode, Missing) else mode == pynvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS

    def ecc(self) -> Reading[bool]:
        mode = self._read_board("nvmlDeviceGetEccMode")
        return mode if isinstance(mode, Missing) else bool(mode[0])

    def ecc_errors(self) -> Reading[int]:
        """Uncorrected memory errors since the driver was loaded."""
        return self._read_board("nvmlDeviceGetTotalEccErrors", _UNCORRECTED, _VOLATILE)

    def nvlinks(self) -> int:
        """How many NVLinks are up."""
        states = (self._read_board("nvmlDeviceGetNvLinkState", link) for link in range(_LINKS))
        return sum(1 for state in states if known(state))

    def pcie(self) -> Reading[tuple[int, int]]:
        """Generation and width of the PCIe link now: an idle GPU lowers the generation."""
        generation = self._read_board("nvmlDeviceGetCurrPcieLinkGeneration")
        width = self._read_board("nvmlDeviceGetCurrPcieLinkWidth")
        return _both(generation, width)

    def max_pcie(self) -> Reading[tuple[int, int]]:
        """Generation and width that the PCIe link can have."""
        generation = self._read_board("nvmlDeviceGetMaxPcieLinkGeneration")
        width = self._read_board("nvmlDeviceGetMaxPcieLinkWidth")
        return _both(generation, width)

    def distance(self, other: NvmlDevice) -> Reading[int]:
        """How far the way to another GPU leads up the PCIe tree: NVML's topology level."""
        return self._read_board("nvmlDeviceGetTopologyCommonAncestor", other.board._handle)  # noqa: SLF001


def _scaled(reading: Any) -> Reading[float]:
    return reading if isinstance(reading, Missing) else reading / 1e3


def _both(first: Any, second: Any) -> Reading[tuple[int, int]]:
    if isinstance(first, Missing):
        return first
    return second if isinstance(second, Missing) else (int(first), int(second))


def _text(text: bytes | str) -> str:
    return text.decode() if isinstance(text, bytes) else text
