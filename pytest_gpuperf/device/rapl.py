"""The energy of the processor: Intel's and AMD's running average power limit (RAPL), shown by Linux as powercap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from pytest_gpuperf.device.readings import Missing, Reading

_POWERCAP = Path("/sys/class/powercap")
_LEAST_INTERVAL = 0.005  # seconds between two counters that watts are taken from


class CpuMeter:
    """The processor's packages, everybody's work on them included."""

    name = "processor package, everybody's"

    def __init__(self, folder: Path = _POWERCAP) -> None:
        self._packages = _packages(folder)
        self._last: tuple[float, float] | None = None
        self._watts: Reading[float] = Missing("unsupported", "watts are known from the second reading on")

    @property
    def wraps_at(self) -> float | None:
        ranges = [_microjoules(package / "max_energy_range_uj") for package in self._packages]
        told = [r for r in ranges if not isinstance(r, Missing)]
        # Several packages wrap each for itself: their sum has no single range.
        return told[0] if len(ranges) == 1 and told else None

    def energy(self) -> Reading[float]:
        if not self._packages:
            return Missing("unsupported", "this machine shows no processor energy under /sys/class/powercap")
        total = 0.0
        for package in self._packages:
            joules = _microjoules(package / "energy_uj")
            if isinstance(joules, Missing):
                return joules
            total += joules
        return total

    def power(self) -> Reading[float]:
        """The mean since the reading before: there is a counter only."""
        energy, now = self.energy(), monotonic()
        if isinstance(energy, Missing):
            return energy
        if self._last is None:
            self._last = now, energy
        then, before = self._last
        if now - then >= _LEAST_INTERVAL:
            if energy >= before:  # else it has wrapped: the last watts must do
                self._watts = (energy - before) / (now - then)
            self._last = now, energy
        return self._watts

    def refused(self) -> Missing | None:
        """Never: it is everybody's energy, and its name says so."""


def _packages(folder: Path) -> Sequence[Path]:
    """The top zones of processors ("package-0"); "psys" would count them twice."""
    found: list[Path] = []
    for zone in sorted(folder.glob("*-rapl:*")):
        try:
            name = (zone / "name").read_text()
        except OSError:
            continue
        if name.startswith("package"):
            found.append(zone)
    return found


def _microjoules(path: Path) -> Reading[float]:
    try:
        return int(path.read_text()) * 1e-6
    except PermissionError:
        return Missing("permission", f"{path} can be read by root only. Allow it: sudo chmod a+r {path}")
    except (OSError, ValueError) as error:
        return Missing("failed", f"{path} cannot be read: {error}")
