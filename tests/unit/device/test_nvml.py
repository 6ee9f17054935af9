"""The real pynvml over a scripted library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pynvml
import pytest
from nvml.standin import GIB, LOST, MIG_INSTANCE, NO_PERMISSION, NOT_FOUND, UNSUPPORTED, Gpu, Machine, load

from pytest_gpuperf.device import nvml
from pytest_gpuperf.device.nvml import MemoryUse, NvmlDevice, Process
from pytest_gpuperf.device.readings import Missing

READINGS = (
    "memory",
    "instant_power",
    "mean_power",
    "power",
    "energy",
    "power_limit",
    "default_power_limit",
    "clock_reasons",
    "temperature",
    "sm_clock",
    "max_sm_clock",
    "utilization",
    "processes",
    "persistence",
    "exclusive",
    "ecc",
    "ecc_errors",
    "pcie",
    "max_pcie",
    "mig_enabled",
)


def only() -> NvmlDevice:
    found = nvml.gpus()
    assert not isinstance(found, Missing)
    (gpu,) = found
    return gpu


def test_every_reading_is_what_the_machine_says(machine: Machine) -> None:
    machine.change(
        power_period=0,
        power=125.4,
        temperature=71,
        sm_clock=1290,
        utilization=1,
        reasons=4,
        processes=((4242, 5 * GIB),),
    )
    gpu = only()
    assert (gpu.name, gpu.capability, gpu.pci) == ("NVIDIA A100-SXM4-40GB", "8.0", "00000000:41:00.0")
    assert gpu.uuid == machine.gpus[0].uuid
    assert gpu.memory() == MemoryUse(40 * GIB, 1 * GIB)
    assert gpu.instant_power() == pytest.approx(125.4, rel=1e-3)
    assert gpu.temperature() == 71
    assert (gpu.sm_clock(), gpu.max_sm_clock()) == (1290, 1410)
    assert gpu.utilization() == 1
    assert gpu.clock_reasons() == 4
    assert gpu.processes() == (Process(4242, 5 * GIB),)
    assert (gpu.power_limit(), gpu.default_power_limit()) == (400.0, 400.0)
    assert (gpu.persistence(), gpu.exclusive(), gpu.ecc(), gpu.ecc_errors()) == (True, False, True, 0)
    assert (gpu.pcie(), gpu.max_pcie(), gpu.nvlinks()) == ((4, 16), (4, 16), 0)
    assert (gpu.mig_enabled(), gpu.is_mig, gpu.mig_profile) == (False, False, None)
    assert gpu.board is gpu
    assert nvml.driver_version() == "550.54.15"


def test_mean_power_is_that_of_the_last_second_and_instant_power_of_now(machine: Machine) -> None:
    machine.gpus[0] = Gpu(power={0: 100.0, 5: 300.0}, power_period=0)
    machine.restart(ago=5.1)
    gpu = only()
    mean = gpu.mean_power()
    assert gpu.instant_power() == 300.0
    assert not isinstance(mean, Missing)
    assert 100 <= mean < 300


def test_an_empty_counter_is_no_zero(machine: Machine) -> None:
    machine.change(counter_period=0)
    reading = only().energy()
    assert isinstance(reading, Missing)
    assert reading.why == "unsupported"
    assert str(reading).startswith("not available: nvmlDeviceGetTotalEnergyConsumption: this GPU does not support it")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (UNSUPPORTED, "unsupported"),
        (NO_PERMISSION, "permission"),
        (LOST, "lost"),
        (16, "lost"),
        (18, "library"),
        (999, "failed"),
    ],
)
def test_no_reading_raises_and_each_says_why(machine: Machine, code: int, why: str) -> None:
    gpu = only()
    machine.fails("*", code)
    for name in READINGS:
        reading = getattr(gpu, name)()
        assert isinstance(reading, Missing), name
        assert reading.why == why, name
    assert isinstance(gpu.violation(1), Missing)
    assert gpu.nvlinks() == 0
    fresh = NvmlDevice(gpu._handle)
    assert isinstance(fresh.uuid, Missing)
    assert isinstance(fresh.pci, Missing)
    assert isinstance(fresh.capability, Missing)


def test_a_function_may_fail_from_some_call_on(machine: Machine) -> None:
    machine.fails("nvmlDeviceGetTemperature", NO_PERMISSION, call=3)
    gpu = only()
    readings = [gpu.temperature() for _ in range(4)]
    assert readings[:2] == [45, 45]
    assert all(isinstance(r, Missing) and r.why == "permission" for r in readings[2:])


def test_half_a_link_is_none(machine: Machine) -> None:
    machine.fails("nvmlDeviceGetCurrPcieLinkWidth", UNSUPPORTED)
    assert isinstance(only().pcie(), Missing)


def test_the_instant_power_field_may_fail_by_itself(machine: Machine) -> None:
    machine.gpus = [Gpu(mig=1), MIG_INSTANCE]
    machine.write()
    (instance,) = only().instances()
    fields = instance._read("nvmlDeviceGetFieldValues", [186])  # the instance, not its board
    assert fields[0].nvmlReturn == UNSUPPORTED
    assert instance.instant_power() == 60.0


def test_a_device_is_found_by_uuid_with_or_without_its_prefix(machine: Machine) -> None:
    uuid = machine.gpus[0].uuid
    for name in (uuid, uuid.removeprefix("GPU-")):
        found = nvml.find(name)
        assert not isinstance(found, Missing)
        assert found.uuid == uuid


def test_the_bus_is_asked_where_the_uuid_is_unknown(machine: Machine) -> None:
    found = nvml.find("GPU-unknown", machine.gpus[0].pci)
    assert not isinstance(found, Missing)
    assert found.uuid == machine.gpus[0].uuid
    missing = nvml.find(None)
    assert isinstance(missing, Missing)
    assert "PCI bus id None" in missing.reason


def test_a_lost_gpu_is_not_merely_unknown(machine: Machine) -> None:
    machine.fails("nvmlDeviceGetHandleByUUID", LOST)
    missing = nvml.find(machine.gpus[0].uuid)
    assert isinstance(missing, Missing)
    assert missing.why == "lost"


def test_a_mig_instance_has_a_profile_and_the_sensors_of_its_board(machine: Machine) -> None:
    machine.gpus[0] = Gpu(mig=1)
    machine.gpus.append(MIG_INSTANCE)
    machine.write()
    instance = nvml.find(MIG_INSTANCE.uuid.removeprefix("MIG-"))
    assert not isinstance(instance, Missing)
    assert (instance.is_mig, instance.mig_profile) == (True, "3g.20gb")
    assert instance.board.uuid == machine.gpus[0].uuid
    assert instance.mig_enabled() is True
    assert instance.temperature() == 45
    assert instance.memory() == MemoryUse(20 * GIB, 1 * GIB)
    gpu = only()
    assert [i.uuid for i in gpu.instances()] == [MIG_INSTANCE.uuid]
    assert instance.instances() == ()


def test_the_driver_may_refuse_everything(machine: Machine) -> None:
    machine.fails("nvmlInitWithFlags", 9)
    for missing in (nvml.gpus(), nvml.find("GPU-1")):
        assert isinstance(missing, Missing)
        assert missing.why == "library"
        assert "nvidia-smi" in missing.reason


def test_an_old_driver_is_asked_by_its_own_names(machine: Machine, old_nvml_library: Path) -> None:
    machine.change(reasons=8, processes=((1, 2),), power=90)
    load(old_nvml_library)
    gpu = only()
    assert gpu.clock_reasons() == 8
    assert gpu.processes() == (Process(1, 2),)
    instant = gpu.instant_power()
    assert isinstance(instant, Missing)
    assert not isinstance(gpu.power(), Missing)


def test_an_old_binding_lacks_functions(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(pynvml, "nvmlDeviceGetCurrentClocksEventReasons")
    machine.change(reasons=8)
    assert only().clock_reasons() == 8


def test_a_process_may_keep_its_memory_to_itself(machine: Machine) -> None:
    machine.change(processes=((1, 2**64 - 1),))
    assert only().processes() == (Process(1, None),)


ASK = "from pytest_gpuperf.device import nvml; print(nvml.gpus())"


def test_a_machine_without_the_library_says_so(tmp_path: Path) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_bytes(b"")  # whatever the machine has, this one is found first
    done = subprocess.run(
        [sys.executable, "-c", ASK], env={"LD_LIBRARY_PATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert "libnvidia-ml.so.1 was not found; it comes with the NVIDIA driver" in done.stdout


def test_the_library_is_found_as_a_process_finds_it(machine: Machine, nvml_library: Path) -> None:
    code = "from pytest_gpuperf.device import nvml; print(nvml.gpus()[0].name)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=machine.environment(nvml_library),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == machine.gpus[0].name


def test_a_handle_that_was_not_found_reads_nothing(machine: Machine) -> None:
    machine.fails("nvmlDeviceGetHandleByIndex_v2", NOT_FOUND)
    assert isinstance(only().temperature(), Missing)
