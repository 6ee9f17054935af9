"""Nothing else happens while a call is timed: no garbage collection, no tracer (coverage), no profiler, no debugger."""

from __future__ import annotations

import gc
import inspect
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FunctionType, MethodType
from typing import Any

_WORTH = 20  # times as long as a whole collection took, no other one follows
_TOOLS = range(6)  # ids that sys.monitoring has


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


@contextmanager
def unwatched() -> Generator[None]:
    """Suspend tracers, profilers and monitoring tools in this thread.

    They do not see code that only timed calls run; where that matters, --gpuperf-disable calls each workload once.
    """
    tracer, profiler = sys.gettrace(), sys.getprofile()
    sys.settrace(None)
    _stop(profiler)
    monitoring: Any = getattr(sys, "monitoring", None)  # from Python 3.12 on
    watching = {t: monitoring.get_events(t) for t in _TOOLS if monitoring.get_tool(t)} if monitoring else {}
    for tool in watching:
        monitoring.set_events(tool, 0)
    try:
        yield
    finally:
        for tool, events in watching.items():
            monitoring.set_events(tool, events)
        _resume(profiler)
        sys.settrace(tracer)
        if tracer is not None and not isinstance(tracer, FunctionType | MethodType):
            _attach_to_running_functions(tracer)


def _attach_to_running_functions(tracer: Any) -> None:
    """Make a tracer written in C (coverage's) go on with the functions that are running.

    It counts all their calls and returns: after a return that it missed, it would book everything on the wrong file.
    Set from Python, it hears of new calls only, until the first of them.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_trace is None:
            frame.f_trace = tracer
        frame = frame.f_back


def _stop(profiler: Any) -> None:
    if hasattr(profiler, "disable"):  # cProfile's is no function, and cannot be set again like one
        profiler.disable()
    else:
        sys.setprofile(None)


def _resume(profiler: Any) -> None:
    if hasattr(profiler, "enable"):
        profiler.enable()
    else:
        sys.setprofile(profiler)
