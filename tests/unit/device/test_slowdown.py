from __future__ import annotations

import pytest

from pytest_gpuperf.device.choice import choose_device
from pytest_gpuperf.instrument import slowdown


class Machine:
    """Its clock goes on by what work costs, and by nothing else. The first iterations cost less."""

    seconds = 0.0

    def __init__(self, call: float, asking: float) -> None:
        self.cost, self.asking = call, asking

    def call(self) -> None:
        self.seconds += self.cost

    def work(self, iterations: int) -> None:
        self.seconds += self.asking + 0.6e-8 * min(iterations, 5000) + 1e-8 * max(0, iterations - 5000)

    def took(self, call) -> float:
        before = self.seconds
        call()
        return self.seconds - before


@pytest.mark.parametrize("share", [0.01, 0.02, 0.1])
@pytest.mark.parametrize(("call", "asking"), [(50e-6, 0.2e-6), (1e-3, 0.2e-6), (50e-6, 0.0)])
def test_the_share_is_what_it_takes_in_all(monkeypatch, share, call, asking):
    machine = Machine(call, asking)
    monkeypatch.setattr(slowdown, "perf_counter", lambda: machine.seconds)
    monkeypatch.setattr(slowdown, "_host_loop", machine.work)
    slower = slowdown.slowed(machine.call, share, choose_device("cpu"))
    assert machine.took(slower) / call - 1 == pytest.approx(share, rel=0.05)


def test_a_call_too_short_for_the_share_gets_no_more_than_the_asking(monkeypatch):
    machine = Machine(5e-6, 0.2e-6)
    monkeypatch.setattr(slowdown, "perf_counter", lambda: machine.seconds)
    monkeypatch.setattr(slowdown, "_host_loop", machine.work)
    assert machine.took(slowdown.slowed(machine.call, 0.01, choose_device("cpu"))) == pytest.approx(5.2e-6)


def test_a_slow_call_is_not_made_hundreds_of_times(monkeypatch):
    machine = Machine(0.5, 0.0)
    monkeypatch.setattr(slowdown, "perf_counter", lambda: machine.seconds)
    monkeypatch.setattr(slowdown, "_host_loop", machine.work)
    slower = slowdown.slowed(machine.call, 0.1, choose_device("cpu"))
    assert machine.seconds < 20
    assert machine.took(slower) == pytest.approx(0.55, rel=0.02)


def test_what_the_workload_gives_is_given():
    assert slowdown.slowed(lambda: 7, 0.1, choose_device("cpu"))() == 7
