"""The moments at which an energy counter moves.

A counter that moves every 100 ms says, in between, what was true up to 100 ms ago. Read at the moment it moves it is
exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from time import monotonic, sleep

from pytest_gpuperf.device.meters import Meter
from pytest_gpuperf.device.readings import Missing, Reading

_POLL = 0.0005
_LONGEST_PERIOD = 1.0  # a counter that moves more slowly is no counter
_EDGES = 6  # seen to know the period
_CLEAR = 0.05  # of the period: an edge seen less sharply than this is let pass


@dataclass(frozen=True, slots=True)
class Edge:
    """The counter moved."""

    at: float  # by the monotonic clock
    joules: float
    slack: float  # seconds that it may have been earlier or later


def next_edge(meter: Meter, period: float | None = None) -> Reading[Edge]:
    """Wait until the counter moves. With its period known, an edge that was seen too late is let pass twice."""
    edge: Reading[Edge] = Missing("failed", "the energy counter was not asked")
    for _ in range(3):
        edge = _edge(meter)
        if isinstance(edge, Missing) or period is None or edge.slack <= max(_POLL, _CLEAR * period):
            break
    return edge


def probe_period(meter: Meter) -> Reading[float]:
    """Seconds from one movement of the counter to the next."""
    seen: list[Edge] = []
    for _ in range(_EDGES):
        edge = _edge(meter)
        if isinstance(edge, Missing):
            return edge
        seen.append(edge)
    return median(b.at - a.at for a, b in pairwise(seen))


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
