"""The queue between two stages: bounded, in order whatever order the workers finish in, and watched."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Condition, Lock
from time import perf_counter
from typing import Any, NamedTuple


class Passed(NamedTuple):
    """An item on its way."""

    number: int
    given: float  # when the source gave it
    value: Any
    ready: Any = None  # the CUDA event after which the value is there; None: it is there


class StoppedError(Exception):
    """The pipeline has stopped; whoever waits for an item or for room gives up."""


@dataclass(frozen=True)
class Tally:
    """What a queue has added up until a moment."""

    at: float
    items: float  # items x seconds
    full: float  # seconds
    empty: float  # seconds in which the next item was not there


class Buffer:
    """Items by number, at most `capacity` ahead of the one that is taken next.

    Several workers may finish in any order. The one with the number that is needed next never waits for room, so
    keeping the order cannot block.
    """

    def __init__(self, capacity: int, first: int = 0) -> None:
        self.capacity = capacity
        lock = Lock()
        self._ready, self._room = Condition(lock), Condition(lock)
        self._items: dict[int, Passed] = {}
        self._next = first  # the number that is taken next
        self._end: int | None = None  # the number after the last one, once that is known
        self._stopped = False
        self._at = perf_counter()
        self._area = self._full = self._empty = 0.0

    def put(self, item: Passed) -> None:
        """Hand an item over, as soon as there is room."""
        with self._room:
            while item.number >= self._next + self.capacity and not self._stopped:
                self._room.wait()
            self._refuse_if_stopped()
            self._note()
            self._items[item.number] = item
            if item.number == self._next:
                self._ready.notify()

    def get(self, *, wait: bool = True) -> Passed | None:
        """The next item; None where there will be no more, or none is there and nobody wants to wait."""
        with self._ready:
            while self._next not in self._items and self._next != self._end and wait and not self._stopped:
                self._ready.wait()
            self._refuse_if_stopped()
            if self._next not in self._items:
                return None
            self._note()
            item = self._items.pop(self._next)
            self._next += 1
            if self._next in self._items:
                self._ready.notify()
            if self._next == self._end:
                self._ready.notify_all()
            self._room.notify_all()
            return item

    def end(self, number: int) -> None:
        """No item will come that has this number or a higher one."""
        with self._ready:
            self._end = number
            self._ready.notify_all()

    @property
    def last(self) -> int | None:
        """The number after the last item; None while that is not known."""
        return self._end

    def stop(self) -> None:
        """Wake whoever waits, to give up."""
        with self._ready:
            self._stopped = True
            self._ready.notify_all()
            self._room.notify_all()

    def tally(self) -> Tally:
        """What has added up until now."""
        with self._ready:
            self._note()
            return Tally(self._at, self._area, self._full, self._empty)

    def _refuse_if_stopped(self) -> None:
        if self._stopped:
            raise StoppedError

    def _note(self) -> None:
        """Add up what was so since the last change."""
        now = perf_counter()
        passed, self._at = now - self._at, now
        count = len(self._items)
        self._area += count * passed
        if count == self.capacity:
            self._full += passed
        if self._next not in self._items:
            self._empty += passed
