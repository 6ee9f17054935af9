"""When requests are due: as soon as an answer came (a closed loop), or by a schedule of their own (an open loop)."""

from __future__ import annotations

import random
from collections import deque
from typing import Protocol

from msgspec import Struct

from pytest_gpuperf.records.served_load import Arrivals

NEVER = 2**63 - 1


class Pace(Struct, frozen=True):
    """The part of the arrivals that one process makes."""

    arrivals: Arrivals
    rate: float = 0.0  # requests a second
    phase: float = 0.0  # seconds until the first
    seed: int = 0


class Due(Struct, frozen=True):
    """One request that may be sent now."""

    at: int  # when it was due, nanoseconds
    held: bool = False  # no connection was free then


class Schedule(Protocol):
    """What the loop asks between two events."""

    def take(self, now: int) -> Due | None:
        """The next request that is due; None where none is."""
        ...

    def advance(self, now: int, free: int) -> int:
        """Note what has become due, while so many connections were free; gives when the next one will be."""
        ...


class Closed:
    """A free connection is used at once: as many requests are in flight as there are connections."""

    def take(self, now: int) -> Due | None:
        return Due(now)

    def advance(self, now: int, free: int) -> int:  # noqa: ARG002 - there is no schedule
        return NEVER


class Open:
    """Requests become due whether or not answers came; those that find no connection free wait for one."""

    def __init__(self, pace: Pace, start: int) -> None:
        self._gap = 1e9 / pace.rate
        self._random = random.Random(pace.seed) if pace.arrivals == "poisson" else None  # noqa: S311 - no secret
        self._waiting: deque[Due] = deque()
        self._next = start + pace.phase * 1e9 + (self._random.expovariate(1.0) * self._gap if self._random else 0.0)

    def take(self, now: int) -> Due | None:  # noqa: ARG002 - `advance` knows the time
        return self._waiting.popleft() if self._waiting else None

    def advance(self, now: int, free: int) -> int:
        while self._next <= now:
            self._waiting.append(Due(int(self._next), held=len(self._waiting) >= free))
            self._next += self._random.expovariate(1.0) * self._gap if self._random else self._gap
        return int(self._next)


def schedule(pace: Pace, start: int) -> Schedule:
    """The schedule of one process, from a moment on its clock."""
    return Closed() if pace.arrivals == "closed" else Open(pace, start)
