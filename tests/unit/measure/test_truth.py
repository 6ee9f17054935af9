"""A whole measurement with the scripted card beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from examples import a_measurement
from nvml.standin import LOST, Machine

from pytest_gpuperf.device.choice import Chosen, card_sensors, choose_device
from pytest_gpuperf.device.health import CardWatch, Health
from pytest_gpuperf.errors import DeviceLostError
from pytest_gpuperf.measure.evidence import Memory
from pytest_gpuperf.measure.observation import Observer, charged
from pytest_gpuperf.measure.plan import Plan
from pytest_gpuperf.measure.sampler import measure
from pytest_gpuperf.records.model import Measurement

SHORT = Plan(budget=0.5, min_timed=0.02, min_samples=8, slowdown_waits=(0.01, 0.02))
A = np.ones((128, 128))


def work() -> object:
    return A @ A


@pytest.fixture
def chosen(machine: Machine) -> Chosen:
    return replace(choose_device("cpu"), sensors=card_sensors(machine.gpus[0].uuid, None))


def measured(chosen: Chosen, call=work, *, energy: bool = False) -> Measurement:
    truth = Observer.of(chosen)

    def observe(measurement: Measurement, health: Health | None) -> Measurement:
        return truth.observe(measurement, call, (call,), health, Memory(), energy=energy)

    return measure(
        call,
        items=2,
        plan=SHORT,
        clock=chosen.clock,
        memory=chosen.memory,
        session="s",
        watch=truth.watch(),
        observe=observe,
    )


def test_a_measurement_carries_its_evidence_and_its_health(machine: Machine, chosen: Chosen) -> None:
    machine.change(sm_clock=1290, temperature=61, reasons=4)
    found = measured(chosen)
    assert found.evidence is not None
    assert found.evidence.verdict == "proven"
    assert (found.sm_clock, found.temperature, found.state) == (1290, 61, None)
    assert "software power cap" in found.notes[-1]
    assert found.energy is None


def test_energy_is_measured_where_it_is_asked_for(machine: Machine, chosen: Chosen) -> None:
    found = measured(chosen, energy=True)
    assert found.energy is not None
    assert found.energy > 0
    assert found.energy_above_idle == pytest.approx(0, abs=0.1 * found.energy)  # the card is idle: 60 W all the time
    assert "energy counter" in found.notes[-1]


def test_a_processor_without_sensors_is_measured_all_the_same() -> None:
    found = measured(choose_device("cpu"))
    assert found.evidence is not None
    assert (found.state, found.temperature) == (None, None)


class CoolsDown(CardWatch):
    """The card is hot until the first block has been looked at."""

    machine: Machine

    def after_block(self) -> str | None:
        state = super().after_block()
        self.machine.change(reasons=0)
        return state


def test_a_passing_slowdown_is_measured_again(machine: Machine, chosen: Chosen) -> None:
    machine.change(reasons=0x20)
    assert chosen.sensors.card is not None
    watch = CoolsDown(chosen.sensors.card)
    watch.machine = machine
    found = measure(work, items=1, plan=SHORT, clock=chosen.clock, memory=chosen.memory, session="s", watch=watch)
    assert found.state is None
    assert found.notes == ("1 block(s) ran in a thermal slow-down and were measured again, after waiting 0.01 s",)


def test_a_slowdown_that_persists_is_named_and_the_figures_are_kept(machine: Machine, chosen: Chosen) -> None:
    machine.change(reasons=0x20)
    found = measured(chosen)
    assert found.state == "thermal slow-down"
    assert len(found.samples) >= 1
    assert "the thermal slow-down persisted after waiting 0.03 s" in found.notes[0]


def test_a_gpu_lost_in_the_middle_ends_the_measurement(machine: Machine, chosen: Chosen) -> None:
    calls = 0

    def fails() -> None:
        nonlocal calls
        calls += 1
        work()
        if calls == 5:
            machine.fails("*", LOST)

    with pytest.raises(DeviceLostError, match="The GPU was lost while it was being measured"):
        measured(chosen, partial(fails))


class OnCard:
    """Something with so many bytes on a GPU, as any library's array."""

    dtype = "fp32"
    shape = (1,)
    device = "cuda:0"

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes


def test_a_case_is_charged_alike_whatever_ran_before() -> None:
    """A model of 500 bytes that a module's fixture makes, a call that takes 30 more, and what others left: 0 or 70."""
    model = OnCard(500)

    def peak(left: int, made_before: int) -> tuple[int | None, int | None]:
        measured = a_measurement(0, peak_memory=left + 500 + 30)
        known = charged(measured, left + 500, Memory(allocated_before=left + made_before), (lambda: model, ()))
        return known.peak_memory, known.peak_allocated

    first, later = 0, 500  # of the tests that use the fixture
    assert peak(0, first) == (530, 530)
    assert peak(70, first) == (530, 600)
    assert peak(0, later) == (530, 530)
    assert peak(70, later) == (530, 600)


def test_what_the_case_captured_for_itself_is_its_own() -> None:
    measured = a_measurement(0, peak_memory=70 + 500 + 200)
    known = charged(measured, 70 + 500 + 200, Memory(allocated_before=70), (OnCard(500),))
    assert (known.peak_memory, known.peak_allocated) == (700, 770)


def test_the_peak_of_what_takes_its_memory_beside_torch_is_not_known() -> None:
    class Placed:
        wanted = "CUDAExecutionProvider"
        operators: Mapping[str, Mapping[str, int]] = {}
        elsewhere: Mapping[str, int] = {}

    class Network:
        placement = Placed()

    known = charged(a_measurement(0, peak_memory=70), 60, Memory(allocated_before=60), (Network(),))
    assert known.peak_memory is None
    assert known.notes[-1].startswith("peak memory is not known: CUDAExecutionProvider takes its own")


@pytest.mark.parametrize(("peak", "allocated", "before"), [(None, 1, 1), (9, None, 1), (9, 1, None)])
def test_a_peak_of_which_less_is_known_stays_as_it_is(
    peak: int | None, allocated: int | None, before: int | None
) -> None:
    measured = a_measurement(0, peak_memory=peak)
    assert charged(measured, allocated, Memory(allocated_before=before), ()) is measured
