"""Energy lap by lap on the scripted card, in real time: the sum of the laps is the whole, whatever one lap says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

import pytest
from nvml.standin import LOST, NO_PERMISSION, Machine

from pytest_gpuperf.device import nvml
from pytest_gpuperf.device.board import GpuMeter
from pytest_gpuperf.device.counter import CpuMeter
from pytest_gpuperf.device.laps import Lap, Laps
from pytest_gpuperf.device.power import GpuPower
from pytest_gpuperf.device.readings import Missing
from pytest_gpuperf.records import enough_energy

IDLE, BUSY = 60.0, 260.0
STRANGER = 2**22 + 1


def meter() -> GpuMeter:
    found = nvml.gpus()
    assert not isinstance(found, Missing)
    return GpuMeter(found[0])


@contextmanager
def stretch(machine: Machine, seconds_idle: float = 0.25) -> Iterator[Laps]:
    """Laps that have started, with the card at work."""
    card = meter()
    with Laps(card, GpuPower(card).period) as laps:
        sleep(seconds_idle)
        laps.wait_for_edge()
        machine.change(power=BUSY)
        laps.start(monotonic())
        yield laps
        machine.change(power=IDLE)


def lap(laps: Laps, seconds: float, *, last: bool = False) -> tuple[Lap, float]:
    """A lap, and how long it was."""
    began = monotonic()
    sleep(seconds)
    ended = monotonic()
    return (laps.last_lap(ended) if last else laps.lap(ended)), ended - began


def joules_of(laps: list[Lap]) -> float:
    total = 0.0
    for one in laps:
        assert not isinstance(one.joules, Missing)
        total += one.joules
    return total


def test_laps_shorter_than_an_update_sum_up_to_the_whole(machine: Machine) -> None:
    machine.change(counter_period=0.1)
    with stretch(machine) as laps:
        began = monotonic()
        found = [lap(laps, 0.02)[0] for _ in range(80)]
        found.append(lap(laps, 0.02, last=True)[0])
        ended = monotonic()
    assert {0.0} < {one.joules for one in found}  # one alone may have seen no update
    # The last lap has waited for the counter's next movement, up to a period after the end.
    assert joules_of(found) == pytest.approx(BUSY * (ended - began - 0.05), rel=0.06)
    sampled = sum(one.sampled for one in found if not isinstance(one.sampled, Missing))
    assert sampled == pytest.approx(joules_of(found), rel=0.1)
    assert laps.idle_watts == IDLE


def test_a_lap_has_the_watts_that_were_sampled_in_it(machine: Machine) -> None:
    with stretch(machine) as laps:
        lap(laps, 0.3)
        long, seconds = lap(laps, 0.4)
        short, _ = lap(laps, 0.001)
        rest, _ = lap(laps, 0.001)
    assert (long.mean_watts, long.peak_watts) == (BUSY, BUSY)
    assert long.joules == pytest.approx(BUSY * seconds, rel=0.1)
    without = [one for one in (short, rest) if isinstance(one.peak_watts, Missing)]
    assert without, "two laps of a millisecond cannot both have a sample of ten a second"
    assert "none fell into it" in without[0].peak_watts.reason


def test_a_reset_of_the_counter_is_bridged_by_the_watts(machine: Machine) -> None:
    with stretch(machine) as laps:
        lap(laps, 0.3)
        machine.change(counter_reset_at=machine.now)
        found, seconds = lap(laps, 0.5)
    assert found.joules == found.sampled == pytest.approx(BUSY * seconds, rel=0.1)


def test_a_counter_that_answers_no_longer_leaves_the_watts(machine: Machine) -> None:
    with stretch(machine) as laps:
        machine.fails("nvmlDeviceGetTotalEnergyConsumption", NO_PERMISSION)
        first, seconds = lap(laps, 0.4)
        machine.works_again()
        lap(laps, 0.05)  # it answers again, and did not before
        last, _ = lap(laps, 0.4, last=True)
    assert first.joules == first.sampled == pytest.approx(BUSY * seconds, rel=0.1)
    assert not isinstance(last.joules, Missing)


def test_without_a_counter_watts_are_integrated(machine: Machine) -> None:
    machine.change(counter_period=0)
    with stretch(machine) as laps:
        found = [lap(laps, 0.07)[0] for _ in range(8)] + [lap(laps, 0.07, last=True)[0]]
    assert joules_of(found) == pytest.approx(BUSY * 0.63, rel=0.15)
    assert laps.period == 0.1
    assert isinstance(laps.counted_between(monotonic() - 6, monotonic()), Missing)


def test_without_counter_and_watts_there_is_a_reason(machine: Machine) -> None:
    for function in ("TotalEnergyConsumption", "FieldValues", "PowerUsage"):
        machine.fails(f"nvmlDeviceGet{function}", NO_PERMISSION)
    with stretch(machine) as laps:
        found, _ = lap(laps, 0.15)
    assert isinstance(found.joules, Missing)
    assert "no permission" in found.joules.reason
    assert isinstance(laps.idle_watts, Missing)
    assert "no permission" in laps.idle_watts.reason


def test_without_watts_the_counter_is_enough_and_its_end_is_the_mean(machine: Machine) -> None:
    machine.change(counter_period=0.1)
    machine.fails("nvmlDeviceGetFieldValues", NO_PERMISSION)
    with stretch(machine) as laps:
        machine.fails("nvmlDeviceGetPowerUsage", NO_PERMISSION)
        found, seconds = lap(laps, 0.8, last=True)
    assert found.joules == pytest.approx(BUSY * seconds, rel=0.15)
    assert isinstance(found.sampled, Missing)


def test_a_counter_that_was_lost_for_one_lap_has_a_reason_for_both_that_it_touches(machine: Machine) -> None:
    machine.fails("nvmlDeviceGetFieldValues", NO_PERMISSION)
    machine.fails("nvmlDeviceGetPowerUsage", NO_PERMISSION)
    with stretch(machine) as laps:
        machine.fails("nvmlDeviceGetTotalEnergyConsumption", NO_PERMISSION)
        first, _ = lap(laps, 0.05)
        machine.faults = machine.faults[:2]
        machine.write()
        second, _ = lap(laps, 0.05)
        third, _ = lap(laps, 0.05)
    assert isinstance(first.joules, Missing)
    assert isinstance(second.joules, Missing)
    assert not isinstance(third.joules, Missing)


def test_a_stranger_refuses_the_figures_from_then_on(machine: Machine) -> None:
    with stretch(machine) as laps:
        fine, _ = lap(laps, 0.1)
        machine.change(processes=((STRANGER, 1), (os.getpid(), 1)))
        refused, _ = lap(laps, 0.1, last=True)  # at the end it is asked for
    assert not isinstance(fine.joules, Missing)
    for figure in (refused.joules, refused.sampled, refused.peak_watts):
        assert isinstance(figure, Missing)
        assert f"process {STRANGER} computes on this GPU too" in figure.reason


def test_a_stranger_who_was_there_before_refuses_idle_watts_too(machine: Machine) -> None:
    machine.change(processes=((STRANGER, 1),))
    with stretch(machine) as laps:
        machine.change(processes=())
        found, _ = lap(laps, 0.1)
        assert isinstance(laps.counted_between(monotonic() - 6, monotonic()), Missing)
    assert isinstance(found.joules, Missing)
    assert isinstance(laps.idle_watts, Missing)


def test_a_lost_card_is_a_reason(machine: Machine) -> None:
    with stretch(machine) as laps:
        machine.fails("*", LOST)
        found, _ = lap(laps, 0.1, last=True)
    assert isinstance(found.joules, Missing)
    assert "the GPU is lost" in found.joules.reason


def test_part_of_a_lap_is_counted_where_it_is_long_enough(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enough_energy, "ENOUGH_SECONDS", 0.75)
    with stretch(machine) as laps:
        began = monotonic()
        sleep(0.8)
        middle = monotonic()
        machine.change(power=100)
        sleep(0.8)
        ended = monotonic()
        laps.lap(ended)
        first, second = laps.counted_between(began, middle), laps.counted_between(middle, ended)
        short = laps.counted_between(ended - 0.2, ended)
        never = laps.counted_between(began - 10, ended)
    assert first == pytest.approx(BUSY * (middle - began), rel=0.1)
    assert second == pytest.approx(100 * (ended - middle), rel=0.1)
    assert isinstance(short, Missing)
    assert "50 updates, are needed" in short.reason
    assert isinstance(never, Missing)


def test_nothing_sampled_before_the_start_is_no_idle_power(machine: Machine) -> None:
    with stretch(machine, seconds_idle=0) as laps:
        found, seconds = lap(laps, 0.6)
    assert isinstance(laps.idle_watts, Missing)
    assert found.joules == pytest.approx(BUSY * seconds, rel=0.1)
    assert found.sampled == pytest.approx(BUSY * seconds, rel=0.1)


class LateMeter(GpuMeter):
    """Its readings begin to take long: no movement of the counter is seen sharply any more."""

    late = False

    def energy(self) -> float | Missing:
        sleep(0.02 * self.late)
        return super().energy()


def test_an_end_that_cannot_be_seen_sharply_is_off_by_no_whole_update(machine: Machine) -> None:
    machine.change(power=BUSY, counter_period=0.1)
    found = nvml.gpus()
    assert not isinstance(found, Missing)
    late = LateMeter(found[0])
    with Laps(late, 0.1) as laps:
        sleep(0.25)
        laps.wait_for_edge()
        laps.start(monotonic())
        late.late = True
        whole, seconds = lap(laps, 0.6, last=True)
    assert whole.joules == pytest.approx(BUSY * seconds, rel=0.08)


class Wrapping(CpuMeter):
    """A processor's counter of 100 J, at 200 W."""

    def __init__(self) -> None:
        super().__init__()
        self.began = monotonic()

    @property
    def wraps_at(self) -> float:
        return 100.0

    def energy(self) -> float:
        return (90.0 + 200.0 * (monotonic() - self.began)) % 100.0


def test_a_counter_that_begins_again_by_nature_loses_nothing() -> None:
    with Laps(Wrapping(), 0.001) as laps:
        laps.wait_for_edge()
        laps.start(monotonic())
        found = [lap(laps, 0.1)[0] for _ in range(6)]
    assert joules_of(found) == pytest.approx(200 * 0.6, rel=0.1)
