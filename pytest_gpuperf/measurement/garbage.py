"""Python's garbage collector: kept out of what is timed, and made to cost little before it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

_WORTH = 20  # times as long as the last whole collection took may pass without another


class _Collections:
    """Whole collections look at every object there is, and a suite of thousands of tests keeps many.

    They may take a twentieth of the time. In between, what is young is collected: most garbage dies young.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._next = now()

    def collect(self) -> None:
        start = self._now()
        if start < self._next:
            gc.collect(1)
            return
        gc.collect()
        end = self._now()
        self._next = end + _WORTH * (end - start)


_collections = _Collections()


@contextmanager
def collector_off() -> Generator[None]:
    """A collection in a timed span would be the machine's, not the workload's. What is garbage already goes first."""
    was_on = gc.isenabled()
    _collections.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def lasting_objects_set_aside() -> Generator[None]:
    """Collections inside do not look at what was there before.

    torch and torchvision alone are 350,000 objects, a seventh of a second. Somebody who has set objects aside already
    keeps them so: there is no telling theirs from ours afterwards.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
