"""The host's clock, driven by a scripted timer: the workload itself says how long it takes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median

import pytest

from pytest_gpuperf.device.clocks import HostClock


@dataclass
class Machine:
    """A device that works in the background, and the ticks (ns) of a host beside it."""

    now: int = 0
    busy_until: int = 0
    log: list[str] = field(default_factory=list)

    def ticks(self) -> int:
        return self.now

    def synchronize(self) -> None:
        self.log.append("sync")
        self.now = max(self.now, self.busy_until)

    def launch(self) -> None:
        self.log.append("call")
        self.now += 10
        self.busy_until = max(self.now, self.busy_until) + 990


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_a_span_waits_for_the_device_on_both_sides(machine):
    machine.busy_until = 5_000  # earlier work is not the workload's
    block = HostClock(machine.synchronize, machine.ticks).block(machine.launch, spans=2, calls=4)
    assert block.samples == pytest.approx([(10 + 4 * 990) * 1e-9 / 4] * 2)
    assert block.wall is None
    assert machine.log == ["sync", *["call"] * 4, "sync"] * 2


def test_single_calls_are_synchronised_each(machine):
    clock = HostClock(machine.synchronize, machine.ticks)
    assert clock.latencies(machine.launch, 3) == pytest.approx([1e-6] * 3)
    assert clock.block(machine.launch, spans=3, calls=1).samples == pytest.approx([1e-6] * 3)


@pytest.mark.parametrize("calls", [1, 3])
def test_what_runs_before_a_span_is_not_timed(machine, calls):
    def flush() -> None:
        machine.log.append("flush")
        machine.busy_until = machine.now + 70_000

    block = HostClock(machine.synchronize, machine.ticks).block(machine.launch, 2, calls, flush)
    assert max(block.samples) < 1.1e-6
    assert machine.log.count("flush") == 2


def test_a_clock_that_did_not_move_gives_no_zero():
    clock = HostClock(timer=lambda: 7)
    assert min(clock.block(lambda: None, 3, 2).samples) > 0
    assert min(clock.latencies(lambda: None, 3)) > 0
    assert clock.span()() > 0


def test_a_span_around_code_waits_for_the_device(machine):
    stop = HostClock(machine.synchronize, machine.ticks).span()
    machine.launch()
    assert stop() == pytest.approx(1e-6)


def test_the_real_clock_tells_long_from_short():
    clock = HostClock()
    long, short = clock.latencies(lambda: time.sleep(0.02), 3), clock.latencies(lambda: time.sleep(0.002), 3)
    assert min(long) > min(short) > 0
    assert clock.name == "host"
    assert clock.fitted(int) == (clock, None)
    before = clock.now()
    clock.synchronize()
    assert clock.now() >= before


def nothing() -> None:
    pass


def test_a_call_takes_as_long_at_any_depth_of_the_stack():
    """Where its frame began a new piece of Python's stack, that would be mapped and given back at each call."""
    clock = HostClock()

    def below(depth: int) -> float:
        if depth:
            return below(depth - 1)
        return min(clock.block(nothing, 5, 200).samples)

    figures = [below(depth) for depth in range(400)]
    assert max(figures) < 10 * median(figures)
