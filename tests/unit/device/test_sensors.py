"""The sensors of a chosen device."""

from __future__ import annotations

import os
from pathlib import Path

from nvml.standin import NO_PERMISSION, Machine

from pytest_gpuperf.device.choice import card_sensors, cpu_sensors
from pytest_gpuperf.device.readings import Missing


def test_the_processor_knows_its_memory(tmp_path: Path) -> None:
    held = cpu_sensors().memory_in_use()
    assert not isinstance(held, Missing)
    assert held > 2**20
    assert cpu_sensors().card is None
    assert isinstance(cpu_sensors().idle_watts, Missing)
    gone = cpu_sensors(tmp_path).memory_in_use()
    assert isinstance(gone, Missing)
    (tmp_path / "status").write_text("Name:\tpython\n")
    untold = cpu_sensors(tmp_path).memory_in_use()
    assert isinstance(untold, Missing)


def test_a_card_has_an_idle_power_and_a_memory(machine: Machine) -> None:
    machine.change(processes=((os.getpid(), 4096),))
    sensors = card_sensors(machine.gpus[0].uuid, None)
    assert sensors.idle_watts == 60.0
    assert sensors.memory_in_use() == 4096
    assert sensors.missing is None
    assert sensors.card is not None


def test_idle_power_of_a_shared_card_is_nobodys(machine: Machine) -> None:
    machine.change(processes=((2**22 + 1, 1),))
    idle = card_sensors(machine.gpus[0].uuid, None).idle_watts
    assert isinstance(idle, Missing)
    assert idle.why == "not attributable"


def test_idle_power_may_be_forbidden_in_the_middle(machine: Machine) -> None:
    machine.fails("nvmlDeviceGetFieldValues", NO_PERMISSION, call=5)
    assert isinstance(card_sensors(machine.gpus[0].uuid, None).idle_watts, Missing)


def test_a_card_that_nvml_does_not_know_reads_nothing(machine: Machine) -> None:
    sensors = card_sensors("GPU-unknown", None)
    assert sensors.card is None
    assert sensors.missing is not None
    meter = sensors.meter
    for reading in (meter.energy(), meter.power(), meter.refused(), sensors.idle_watts, sensors.memory_in_use()):
        assert reading is sensors.missing
