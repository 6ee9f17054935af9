"""Watts of a machine's main memory. Nothing measures them: they are codecarbon's model, version 3.

It guesses from the amount how many modules there are, and gives each some watts: the more there are, the less each.
https://docs.codecarbon.io/latest/explanation/methodology/#ram
"""

from __future__ import annotations

import platform
from math import ceil
from pathlib import Path

from pytest_gpuperf.device.readings import Missing, Reading
from pytest_gpuperf.records.units import GiB

_FEW = ((2, 1), (16, 2), (64, 4), (128, 8))  # up to so many GiB: so many modules
_SIZES = (128, 64, 32, 16)  # GiB of a module, where there is more
_LEAST, _MOST = 8, 32  # modules of such a machine
_STEPS = ((4, 1.0), (4, 0.9), (8, 0.8), (16, 0.7))  # so many modules: their share of a module's watts


def ram_watts(meminfo: Path = Path("/proc/meminfo")) -> Reading[float]:
    """The model's watts for all of this machine's memory."""
    try:
        words = next(line.split() for line in meminfo.read_text().splitlines() if line.startswith("MemTotal:"))
    except (OSError, StopIteration) as error:
        return Missing("failed", f"the size of the memory is not known: {meminfo} cannot be read ({error})")
    return watts_of(int(words[1]) * 1024 / GiB, arm=platform.machine().lower().startswith(("arm", "aarch")))


def watts_of(gibibytes: float, *, arm: bool) -> float:
    """The model's watts for so much memory."""
    each, least = (1.5, 3.0) if arm else (5.0, 10.0)
    left, total = _modules(gibibytes), 0.0
    for modules, share in _STEPS:
        total += min(left, modules) * share * each
        left -= min(left, modules)
    return max(least, total)


def _modules(gibibytes: float) -> int:
    for most, modules in _FEW:
        if gibibytes <= most:
            return modules
    size = next(size for size in _SIZES if size <= gibibytes / _LEAST)
    return min(ceil(gibibytes / size), _MOST)
