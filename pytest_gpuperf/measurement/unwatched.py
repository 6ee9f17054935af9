"""Nothing watches what is timed: the figure would be the tracer's (coverage), the profiler's or the debugger's."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
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
    monitored = _monitored()
    for tool in monitored:
        sys.monitoring.set_events(tool, 0)
    try:
        yield
    finally:
        for tool, events in monitored.items():
            sys.monitoring.set_events(tool, events)
        _resume(profiler)
        sys.settrace(tracer)


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


def _monitored() -> dict[int, int]:
    """The tools that watch all code, and what they watch (from Python 3.12 on)."""
    if sys.version_info < (3, 12):
        return {}
    monitoring = sys.monitoring  # pragma: no cover - Python 3.12
    named = [tool for tool in _TOOLS if monitoring.get_tool(tool) is not None]  # pragma: no cover
    return {tool: monitoring.get_events(tool) for tool in named}  # pragma: no cover
