"""Energy per item on the scripted card: its counter moves every 10 ms, so half a second is enough."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from time import perf_counter, sleep

import pytest
from nvml.standin import LOST, Machine

from pytest_gpuperf.device.choice import card_sensors
from pytest_gpuperf.device.clocks import HostClock
from pytest_gpuperf.device.counter import CpuMeter
from pytest_gpuperf.device.power import GpuPower
from pytest_gpuperf.measure.energy_per_item import measure_energy


class Work:
    """Draws 260 W from its first call on."""

    def __init__(self, machine: Machine, seconds: float = 0.01) -> None:
        self.machine = machine
        self.seconds = seconds
        self.calls = 0
        self.began = 0.0

    def __call__(self) -> None:
        if not self.calls:
            self.began = perf_counter()
            self.machine.change(power=260)
        self.calls += 1
        sleep(self.seconds)

    @property
    def joules_per_call(self) -> float:
        return 260 * (perf_counter() - self.began) / self.calls


def power_of(machine: Machine) -> GpuPower:
    return GpuPower(card_sensors(machine.gpus[0].uuid, None).meter)


def test_energy_per_item_gross_and_above_idle(machine: Machine) -> None:
    work = Work(machine)
    figures = measure_energy(work, 0.01, 4, HostClock(), power_of(machine))
    assert figures.gross == pytest.approx(work.joules_per_call / 4, rel=0.1)
    assert figures.above_idle == pytest.approx(work.joules_per_call / 4 * 200 / 260, rel=0.1)
    assert f"energy of {work.calls} calls in 0." in figures.note
    assert "energy counter, +-" in figures.note


def test_short_calls_are_made_in_batches(machine: Machine) -> None:
    """Of 20 ms, beside which one synchronisation is nothing; shorter ones only to see when the counter moves."""
    work = Work(machine, seconds=0.001)
    seen = [0]
    clock = HostClock(lambda: seen.append(work.calls))
    figures = measure_energy(work, 0.001, 1, clock, power_of(machine))
    batches = [after - before for before, after in pairwise(seen)]
    assert (batches[0], batches[-1]) == (20, 2)
    assert figures.gross is not None


def test_without_a_counter_five_seconds_of_sampled_watts(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_gpuperf.measure.energy_per_item.ENOUGH_SECONDS", 0.4)
    machine.change(counter_period=0)
    figures = measure_energy(Work(machine), 0.01, 1, HostClock(), power_of(machine))
    assert figures.gross == pytest.approx(260 * 0.0102, rel=0.2)
    assert "without the counter" in figures.note


def test_a_counter_that_stops_ends_the_wait(machine: Machine) -> None:
    power = power_of(machine)
    assert power.period
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1
        if calls == 20:
            machine.change(counter_period=1000)
        sleep(0.01)

    assert "without the counter" in measure_energy(call, 0.01, 1, HostClock(), power).note


def test_where_nothing_can_be_read_the_reason_is_the_note(machine: Machine, tmp_path: Path) -> None:
    figures = measure_energy(lambda: None, 1e-3, 1, HostClock(), GpuPower(CpuMeter(tmp_path)))
    assert (figures.gross, figures.above_idle) == (None, None)
    assert figures.note.startswith("energy not available: this machine shows no processor energy")


def test_a_card_that_is_lost_meanwhile_leaves_a_reason(machine: Machine) -> None:
    power = power_of(machine)
    assert power.period
    machine.fails("*", LOST, second=machine.now + 0.6)
    figures = measure_energy(lambda: sleep(0.01), 0.01, 1, HostClock(), power)
    assert figures.gross is None
    assert "the GPU is lost" in figures.note
