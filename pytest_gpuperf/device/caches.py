"""The last-level cache of a device: how large it is, and how to empty it of a workload's data."""
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

from pathlib import Path

import numpy as np

from pytest_gpuperf.device.clocks import Call
from pytest_gpuperf.records.model import Device
from pytest_gpuperf.records.units import KiB, MiB

_UNKNOWN = 64 * MiB  # larger than most, where neither the kernel nor torch says
_CPU_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"K": KiB, "M": MiB, "G": 1024 * MiB}


def size(device: Device, index: int | None, folder: Path = _CPU_CACHES) -> int:
    """Bytes of the last-level cache."""
    if device.kind == "cuda":  # pragma: no cover - needs a GPU
        import torch  # noqa: PLC0415 - three seconds that only a CUDA device is worth

        return l2_size(torch.cuda.get_device_properties(index or 0))
    sizes = [_bytes_of_text(path.read_text().strip()) for path in folder.glob("index*/size")]
    return max(sizes, default=_UNKNOWN)


def l2_size(properties: object) -> int:
    """Bytes of a GPU's second-level cache; a guess where torch does not say (2.4 and older)."""
    return int(getattr(properties, "L2_cache_size", 0)) or _UNKNOWN


def flush(device: Device, index: int | None, folder: Path = _CPU_CACHES) -> Call:
    """A call that overwrites the cache: it writes twice its size."""
    count = 2 * size(device, index, folder)
    if device.kind == "cuda":  # pragma: no cover - needs a GPU
        import torch  # noqa: PLC0415

        return torch.empty(count, dtype=torch.uint8, device=f"cuda:{index or 0}").zero_
    buffer = np.empty(count, dtype=np.uint8)
    return lambda: buffer.fill(0)


def _bytes_of_text(text: str) -> int:
    return int(text[:-1]) * _UNITS[text[-1]] if text[-1] in _UNITS else int(text)
