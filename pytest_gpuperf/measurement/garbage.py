"""Python's garbage collector: kept out of what is timed, and made to cost little before it."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def collector_off() -> Generator[None]:
    """A collection in a timed span would be the machine's, not the workload's. What is garbage already goes first."""
    was_on = gc.isenabled()
    gc.collect()
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
