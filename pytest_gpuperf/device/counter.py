"""What tells how much energy a device takes: a meter of joules and watts, the moments at which a counter moves, and the
processor's own (RAPL, which Linux shows as powercap).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import Protocol

from pytest_gpuperf.device.readings import Missing, Reading

_POLL = 0.0005
_LONGEST_PERIOD = 1.0  # a counter that moves more slowly is no counter
_EDGES = 6  # from which the period is known
_CLEAR = 0.05  # of the period: an edge whose time is known less sharply is let pass
_POWERCAP = Path("/sys/class/powercap")
_LEAST_INTERVAL = 0.005  # seconds between two counters that watts are taken from


class Meter(Protocol):
    """The energy of one device."""

    @property
    def name(self) -> str:
        """Whose energy it is, and what its watts are."""
        ...

    @property
    def wraps_at(self) -> float | None:
        """Joules after which the counter begins again at zero, where that is ordinary."""
        ...

    def energy(self) -> Reading[float]:
        """Joules since some moment."""
        ...

    def power(self) -> Reading[float]:
        """Watts now."""
        ...

    def refused(self) -> Missing | None:
        """Why a figure would not be the workload's; None where it would."""
        ...


@dataclass(frozen=True, slots=True)
class Edge:
    """The counter moved."""

    at: float  # by the monotonic clock
    joules: float
    slack: float  # seconds that it may have been earlier or later


def next_edge(meter: Meter, period: float | None = None) -> Reading[Edge]:
    """Wait until the counter moves. If its period is known, up to two edges that were noticed late are let pass."""
    edge: Reading[Edge] = Missing("failed", "the energy counter was not asked")
    for _ in range(3):
        edge = _edge(meter)
        if isinstance(edge, Missing) or period is None or edge.slack <= max(_POLL, _CLEAR * period):
            break
    return edge


def probe_period(meter: Meter) -> Reading[float]:
    """Seconds from one movement of the counter to the next."""
    edges: list[Edge] = []
    for _ in range(_EDGES):
        edge = _edge(meter)
        if isinstance(edge, Missing):
            return edge
        edges.append(edge)
    return median(b.at - a.at for a, b in pairwise(edges))


def _edge(meter: Meter) -> Reading[Edge]:
    # The time is taken before each reading: what comes after it may wait for the interpreter's lock.
    asked = began = monotonic()
    first = meter.energy()
    if isinstance(first, Missing):
        return first
    while True:
        sleep(_POLL)
        before, asked = asked, monotonic()
        joules = meter.energy()
        if isinstance(joules, Missing):
            return joules
        if joules != first:
            return Edge((before + asked) / 2, joules, (asked - before) / 2)
        if asked - began > _LONGEST_PERIOD:
            return Missing("failed", f"the energy counter did not move within {_LONGEST_PERIOD:.0f} s")


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
        values = [r for r in ranges if not isinstance(r, Missing)]
        # Several packages wrap each for itself: their sum has no single range.
        return values[0] if len(ranges) == 1 and values else None

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
