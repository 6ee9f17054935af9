"""Nothing watches what is timed: the figure would be the tracer's (coverage), the profiler's or the debugger's."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import FunctionType, MethodType
from typing import Any

_TOOLS = range(6)  # ids that sys.monitoring has


@contextmanager
def unwatched() -> Generator[None]:
    """Suspend tracers, profilers and monitoring tools in this thread.

    Of what only timed calls run, they see nothing; where that matters, --gpuperf-disable calls each workload once.
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
            _seen_by(tracer)


def _seen_by(tracer: Any) -> None:
    """Have a tracer written in C (coverage's) go on with the functions that are running.

    It hears of all of them, and keeps count: of a return that it misses, everything later would be booked on the wrong
    file. Set from Python it hears of new calls only, until the first of them.
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
