"""Windows of power on the scripted card, in real time: short ones, since its counter moves every 10 ms."""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic, sleep

import pytest
from nvml.standin import LOST, MIG_INSTANCE, NO_PERMISSION, Gpu, Machine

from pytest_gpuperf.device import counter, nvml
from pytest_gpuperf.device.board import GpuMeter
from pytest_gpuperf.device.counter import next_edge, probe_period
from pytest_gpuperf.device.power import GpuPower, PowerWindow
from pytest_gpuperf.device.readings import Missing
from pytest_gpuperf.errors import UnavailableError

STRANGER = 2**22 + 1


def meter() -> GpuMeter:
    found = nvml.gpus()
    assert not isinstance(found, Missing)
    return GpuMeter(found[0])


def windowed(
    machine: Machine, seconds: float = 0.6, watts: float = 260.0, meanwhile: Callable[[], None] = lambda: None
) -> tuple[PowerWindow, float]:
    """A window of work at so many watts, and the joules that it took."""
    power = GpuPower(meter())
    with power() as window:
        before = monotonic()
        machine.change(power=watts)
        start = monotonic()
        sleep(seconds / 2)
        meanwhile()
        sleep(seconds / 2)
        end = monotonic()
        machine.change(power=60)
        after = monotonic()
    worked = (end + after - before - start) / 2  # it changes somewhere within those calls
    return window, watts * worked + 60 * (window.seconds - worked)


def test_a_window_knows_its_joules(machine: Machine) -> None:
    window, joules = windowed(machine)
    assert window.joules == pytest.approx(joules, rel=0.03)
    assert window.mean_watts == pytest.approx(joules / window.seconds, rel=0.03)
    assert window.peak_watts == 260
    assert window.idle_watts == 60
    assert window.joules_above_idle == pytest.approx(joules - 60 * window.seconds, rel=0.04)
    assert window.method == "energy counter"
    assert window.uncertainty is not None
    assert 0 <= window.uncertainty < 0.05
    assert window.seconds >= 0.6
    assert window.notes == ()
    assert repr(window).startswith("PowerWindow(Energy(seconds=0.")


def test_a_window_has_no_figures_before_it_has_ended(machine: Machine) -> None:
    with GpuPower(meter())() as window, pytest.raises(UnavailableError, match="after the `with` block"):
        _ = window.joules
    assert repr(PowerWindow()) == "PowerWindow(not ended)"


def test_the_period_of_the_counter_is_probed(machine: Machine) -> None:
    machine.change(counter_period=0.04)
    power = GpuPower(meter())
    assert power.period == pytest.approx(0.04, rel=0.25)
    assert power.period is power.period  # once
    assert power.watts() == 60.0
    assert not isinstance(power.counter(), Missing)


def test_a_reset_of_the_counter_is_bridged(machine: Machine) -> None:
    window, joules = windowed(machine, meanwhile=lambda: machine.change(counter_reset_at=machine.now))
    assert "1 reset(s) bridged" in window.method
    assert window.joules == pytest.approx(joules, rel=0.15)


def test_permission_that_ends_in_the_middle_leaves_the_other_witness(machine: Machine) -> None:
    window, joules = windowed(
        machine, meanwhile=lambda: machine.fails("nvmlDeviceGetTotalEnergyConsumption", NO_PERMISSION)
    )
    assert "without the counter" in window.method
    assert "no permission" in window.method
    assert window.joules == pytest.approx(joules, rel=0.15)


def test_permission_that_ends_before_the_end_is_asked_for_again(machine: Machine) -> None:
    # The counter answers once more after the window has ended, and then no longer: the edge is never seen.
    power = GpuPower(meter())
    assert not isinstance(power.period, Missing)
    with power() as window:
        sleep(0.3)
        machine.change(counter_period=1000)
    assert "without the counter" in window.method


def test_a_lost_gpu_is_a_reason(machine: Machine) -> None:
    window, _ = windowed(machine, meanwhile=lambda: machine.fails("*", LOST))
    with pytest.raises(UnavailableError, match=r"energy is not available: .*the GPU is lost"):
        _ = window.joules


def test_without_a_counter_watts_are_sampled(machine: Machine) -> None:
    machine.change(counter_period=0)
    window, joules = windowed(machine)
    assert "without the counter" in window.method
    assert window.joules == pytest.approx(joules, rel=0.2)


def test_without_watts_the_counter_is_enough(machine: Machine) -> None:
    machine.fails("nvmlDeviceGetFieldValues", NO_PERMISSION)
    machine.fails("nvmlDeviceGetPowerUsage", NO_PERMISSION)
    window, joules = windowed(machine)
    assert window.joules == pytest.approx(joules, rel=0.05)
    for figure in ("peak_watts", "idle_watts", "joules_above_idle"):
        with pytest.raises(UnavailableError, match="no permission"):
            getattr(window, figure)


def test_a_window_too_short_for_a_sample_has_no_idle_power_and_says_so(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_gpuperf.device.power.IDLE_SECONDS", 0.0)
    with GpuPower(meter())() as window:
        pass
    with pytest.raises(UnavailableError, match="no watts were sampled before the window"):
        _ = window.idle_watts


def test_a_stranger_on_the_card_refuses_the_figure(machine: Machine) -> None:
    machine.change(processes=((STRANGER, 1), (os.getpid(), 1)))
    window, _ = windowed(machine, seconds=0.1)
    with pytest.raises(UnavailableError, match=f"process {STRANGER} computes on this GPU too"):
        _ = window.joules


def test_a_stranger_who_comes_in_the_middle_refuses_it_too(machine: Machine) -> None:
    strangers = tuple((STRANGER + i, 1) for i in range(4))
    window, _ = windowed(machine, seconds=0.1, meanwhile=lambda: machine.change(processes=strangers))
    with pytest.raises(UnavailableError, match=rf"4 other processes \({STRANGER}, .*, \.\.\.\) compute"):
        _ = window.mean_watts


def test_a_stranger_who_is_gone_again_was_seen(machine: Machine) -> None:
    def visit() -> None:
        machine.change(processes=((STRANGER, 1),))
        sleep(1.3)
        machine.change(processes=())

    window, _ = windowed(machine, seconds=0.1, meanwhile=visit)
    with pytest.raises(UnavailableError, match="computes on this GPU too"):
        _ = window.joules


def test_mig_refuses_the_figure(machine: Machine) -> None:
    machine.gpus = [Gpu(mig=1), MIG_INSTANCE]
    machine.write()
    instance = nvml.find(MIG_INSTANCE.uuid)
    assert not isinstance(instance, Missing)
    with GpuPower(GpuMeter(instance))() as window:
        pass
    with pytest.raises(UnavailableError, match="MIG instance, and power is measured for the whole board"):
        _ = window.joules


def test_a_list_of_processes_that_may_not_be_read_is_no_refusal_but_a_lost_card_is(machine: Machine) -> None:
    machine.fails("nvmlDeviceGetComputeRunningProcesses_v3", NO_PERMISSION)
    assert meter().refused() is None
    machine.works_again()
    machine.fails("nvmlDeviceGetComputeRunningProcesses_v3", LOST)
    refused = meter().refused()
    assert refused is not None
    assert refused.why == "lost"


def test_a_mean_of_a_second_is_named(machine: Machine) -> None:
    assert "instant" in meter().name
    machine.fails("nvmlDeviceGetFieldValues", 3)
    assert "mean of up to 1 s" in meter().name
    assert meter().power() == pytest.approx(60.0, abs=0.0015)  # a milliwatt is NVML's unit


def test_a_counter_that_does_not_move_is_none(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter, "_LONGEST_PERIOD", 0.05)
    machine.change(counter_period=1000)
    for reading in (probe_period(meter()), next_edge(meter(), 0.1)):
        assert isinstance(reading, Missing)
        assert "did not move" in reading.reason


def test_permission_may_end_while_an_edge_is_waited_for(machine: Machine) -> None:
    machine.change(counter_period=1000)
    machine.fails("nvmlDeviceGetTotalEnergyConsumption", NO_PERMISSION, call=4)
    assert isinstance(next_edge(meter()), Missing)


class SlowMeter(GpuMeter):
    """Each reading takes longer than the counter's period: no edge is ever seen sharply."""

    asked = 0

    def energy(self) -> float | Missing:
        self.asked += 1
        sleep(0.02)
        return super().energy()


def test_an_edge_that_cannot_be_seen_sharply_is_taken_as_it_is(machine: Machine) -> None:
    found = nvml.gpus()
    assert not isinstance(found, Missing)
    slow = SlowMeter(found[0])
    edge = next_edge(slow, 0.01)
    assert not isinstance(edge, Missing)
    assert edge.slack >= 0.01
    assert slow.asked == 6  # three edges of two readings


class LateMeter(GpuMeter):
    """Its readings begin to take long: no movement of the counter is seen sharply any more."""

    late = False

    def energy(self) -> float | Missing:
        sleep(0.02 * self.late)
        return super().energy()


def test_an_end_that_cannot_be_seen_sharply_is_off_by_no_whole_update(machine: Machine) -> None:
    machine.change(power=260, counter_period=0.1)
    found = nvml.gpus()
    assert not isinstance(found, Missing)
    late = LateMeter(found[0])
    with GpuPower(late)() as window:
        sleep(0.6)
        late.late = True
    assert window.joules == pytest.approx(260 * window.seconds, rel=0.08)
    assert window.method == "energy counter"  # a movement after that would look like a reset
