"""Nothing watches what is timed, and everything watches again afterwards."""

from __future__ import annotations

import sys

import pytest

from pytest_gpuperf.measure.quiet import unwatched


class Monitoring:
    """As much of Python 3.12's sys.monitoring as is used: a tool, and what it watches."""

    def __init__(self) -> None:
        self.events = {1: 5, 2: 0}

    def get_tool(self, tool: int) -> str | None:
        return "coverage" if tool in self.events else None

    def get_events(self, tool: int) -> int:
        return self.events[tool]

    def set_events(self, tool: int, events: int) -> None:
        self.events[tool] = events


def test_monitoring_tools_are_suspended(monkeypatch):
    monitoring = Monitoring()
    monkeypatch.setattr(sys, "monitoring", monitoring, raising=False)
    with unwatched():
        assert monitoring.events == {1: 0, 2: 0}
    assert monitoring.events == {1: 5, 2: 0}


def test_an_error_brings_the_watchers_back():
    def watcher(*_):
        return watcher

    before = sys.gettrace()
    sys.settrace(watcher)
    try:
        with pytest.raises(KeyError), unwatched():
            {}[sys.gettrace()]
        assert sys.gettrace() is watcher
    finally:
        sys.settrace(before)
