"""What a device is: the hard identity that figures are compared within, and the versions reported beside it."""

from __future__ import annotations

import os
import platform
from hashlib import sha256
from importlib import metadata
from pathlib import Path

from pytest_gpuperf.records.model import Device

_LIBRARIES = {
    "gpuperf": "pytest-gpuperf",
    "numpy": "numpy",
    "torch": "torch",
    "torchvision": "torchvision",
    "timm": "timm",
    "transformers": "transformers",
    "onnxruntime": "onnxruntime",
    "onnxruntime-gpu": "onnxruntime-gpu",
}


def cpu_device(root: Path = Path("/")) -> Device:
    """The processor this process may use. Nothing that changes while it runs (clock, load) is part of it."""
    return Device(kind="cpu", name=_cpu_name(root), memory=_memory(root), cores=usable_cores(root))


def usable_cores(root: Path = Path("/")) -> int:
    """Cores this process may run on: its affinity, and its container's quota rounded up."""
    allowed = len(os.sched_getaffinity(0))
    quota = _quota(root)
    return allowed if quota is None else max(1, min(allowed, -int(-quota // 1)))


def software() -> dict[str, str]:
    """The versions of what figures depend on, read without importing any of it."""
    found = {"python": platform.python_version()}
    for name, distribution in _LIBRARIES.items():
        try:
            found[name] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return found


def driver_version(root: Path = Path("/")) -> str | None:
    """The version of NVIDIA's kernel driver, where it says so."""
    version = _read(root / "sys/module/nvidia/version")
    return version.strip() if version else None


def card_hash(uuid: str) -> str:
    """Which card it is, without saying whose."""
    return sha256(uuid.removeprefix("GPU-").lower().encode()).hexdigest()[:12]


def _cpu_name(root: Path) -> str:
    for line in (_read(root / "proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in {"model name", "Model", "cpu model"} and value.strip():
            return value.strip()
    return platform.machine() or "unknown processor"


def nvidia_cards(root: Path = Path("/")) -> int:
    """NVIDIA display and 3D controllers on the PCI bus, whether or not a driver knows them."""
    found = 0
    for vendor in root.glob("sys/bus/pci/devices/*/vendor"):
        kind = _read(vendor.with_name("class")) or ""
        found += (_read(vendor) or "").strip() == "0x10de" and kind.startswith("0x03")
    return found


def _memory(root: Path) -> int:
    for line in (_read(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _quota(root: Path) -> float | None:
    """Cores' worth of time that a control group grants: version 2, then version 1; None where it is unlimited."""
    unified = (_read(root / "sys/fs/cgroup/cpu.max") or "max").split()
    if unified[0] != "max":
        return int(unified[0]) / int(unified[1])
    quota = int(_read(root / "sys/fs/cgroup/cpu/cpu.cfs_quota_us") or -1)
    period = int(_read(root / "sys/fs/cgroup/cpu/cpu.cfs_period_us") or 100_000)
    return quota / period if quota > 0 else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
