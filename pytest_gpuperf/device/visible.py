"""Which devices CUDA_VISIBLE_DEVICES leaves to this process, without asking CUDA.

    unset                        every GPU
    "" or "-1"                   none
    0,2                          by number, in CUDA's order
    GPU-8932f937-...             by UUID, or by as much of it as tells it from the others
    MIG-41b36db5-...             a MIG instance
    MIG-GPU-8932f937-.../1/0     a MIG instance, as drivers before 470 name it

CUDA reads from the left and stops at the first entry that it does not know; it takes nothing where one is named twice.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from pytest_gpuperf.device import nvml
from pytest_gpuperf.device.nvml import NvmlDevice
from pytest_gpuperf.device.readings import Missing, Reading, known


def visible_devices(environment: Mapping[str, str] = os.environ) -> Reading[tuple[NvmlDevice, ...]]:
    """The devices that this process may use, in CUDA's order."""
    gpus = nvml.gpus()
    if isinstance(gpus, Missing):
        return gpus
    value = environment.get("CUDA_VISIBLE_DEVICES")
    by_number = _in_cuda_order(gpus, environment)
    if value is None:
        return tuple(_first_part(gpu) for gpu in by_number) if not isinstance(by_number, Missing) else gpus
    entries = [entry.strip() for entry in value.split(",")]
    if len(set(entries)) < len(entries):
        return ()
    numbers = entries[0].lstrip("-").isdigit()
    if numbers and isinstance(by_number, Missing) and not entries[0].startswith("-"):
        return by_number
    found: list[NvmlDevice] = []
    for entry in entries:
        device = _numbered(entry, known(by_number) or gpus) if numbers else _named(entry, gpus)
        if device is None:
            break
        found.append(device)
    # CUDA gives a process one MIG instance at most.
    return tuple(found[:1]) if found and found[0].is_mig else tuple(found)


def pci_address(device: str) -> Reading[str]:
    """Of a GPU that this process may use, by its number in CUDA's order: "cuda:0"."""
    devices, number = visible_devices(), int(device.partition(":")[2] or 0)
    if isinstance(devices, Missing):
        return devices
    if number >= len(devices):
        return Missing("failed", f"this process may use no GPU {device}; see which there are: gpuperf doctor")
    return devices[number].board.pci


def _in_cuda_order(gpus: Sequence[NvmlDevice], environment: Mapping[str, str]) -> Reading[Sequence[NvmlDevice]]:
    """NVML counts by PCI bus; CUDA puts the fastest first unless the environment says otherwise, the rest by bus."""
    alike = len({known(gpu.name) for gpu in gpus}) <= 1
    if alike or environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID":
        return gpus
    return Missing(
        "unsupported",
        "the GPUs differ, and CUDA numbers the fastest first: a number does not tell which it is. "
        "Number them by bus: export CUDA_DEVICE_ORDER=PCI_BUS_ID",
    )


def _first_part(gpu: NvmlDevice) -> NvmlDevice:
    """What CUDA uses of a GPU: all of it, or its first MIG instance where it is divided."""
    instances = gpu.instances() if known(gpu.mig_enabled()) else ()
    return instances[0] if instances else gpu


def _numbered(entry: str, gpus: Sequence[NvmlDevice]) -> NvmlDevice | None:
    number = int(entry) if entry.isdigit() else -1
    return _first_part(gpus[number]) if 0 <= number < len(gpus) else None


def _named(entry: str, gpus: Sequence[NvmlDevice]) -> NvmlDevice | None:
    """By UUID; an abbreviation must fit one device alone."""
    if entry.startswith("MIG-GPU-"):
        instance = nvml.find(entry)
        return known(instance)
    instances = [instance for gpu in gpus for instance in gpu.instances()]
    candidates = instances if entry.startswith("MIG-") else gpus if entry.startswith("GPU-") else ()
    fitting = [device for device in candidates if (known(device.uuid) or "").startswith(entry)]
    return fitting[0] if len(fitting) == 1 else None
