"""What the doctor says of the GPUs."""

from __future__ import annotations

import pytest
from nvml.standin import LOST, MIG_INSTANCE, NO_PERMISSION, UNSUPPORTED, Gpu, Machine

from pytest_gpuperf.device.preflight import Check, preflight

OTHER = Gpu(uuid="GPU-22222222-2222-3333-4444-555555555555", pci="00000000:42:00.0")


def checks() -> dict[str, Check]:
    return {check.name: check for check in preflight()}


def test_one_good_gpu(machine: Machine) -> None:
    found = checks()
    assert all(check.good for check in found.values()), found
    assert found["gpus"].found == f"1 x {machine.gpus[0].name}"
    assert found["driver"].found == "550.54.15"
    assert found["PCIe"].found == "generation 4 of 4, x16 of x16"
    assert found["power limit"].found == "400 W of 400 W by default"
    assert found["energy"].found.startswith("counter moves every 1")
    assert "60.0 W now" in found["energy"].found
    assert found["compute mode"].found == "shared"
    assert found["other processes"].found == "none"


def test_every_fault_is_named_with_a_command(machine: Machine) -> None:
    machine.change(
        reasons=0x48,
        temperature=91,
        power_limit=250_000,
        persistence=0,
        ecc_errors=3,
        pcie_width=8,
        processes=((2**22 + 1, 1),),
        compute_mode=3,
    )
    found = checks()
    assert found["health"] == Check("health", False, "thermal slow-down, 91 C", "nvidia-smi -q -d PERFORMANCE")
    assert found["power limit"].remedy == "sudo nvidia-smi -pl 400"
    assert found["persistence"].remedy == "sudo nvidia-smi -pm 1"
    assert found["ECC"].found == "on, 3 uncorrected errors"
    assert found["PCIe"].good is False
    assert found["other processes"].found == str(2**22 + 1)
    assert found["compute mode"].found == "one process at a time"
    assert "not available: process" in found["energy"].found


def test_several_gpus_and_the_way_between_them(machine: Machine) -> None:
    machine.gpus.append(OTHER)
    machine.topology = 30
    machine.write()
    found = checks()
    assert found["gpus"].found.startswith("2 x ")
    assert found["00000000:41:00.0 to 00000000:42:00.0"].found == "PCIe through the host bridge; no NVLink"
    assert found["health of GPU 1"].good
    machine.change(0, nvlinks=6)
    machine.change(1, nvlinks=4, name="NVIDIA T4", memory_total=2**34, power_limit=70_000)
    machine.topology = 60
    machine.write()
    found = checks()
    assert found["gpus"].good is False
    for what in ("name: NVIDIA A100-SXM4-40GB, NVIDIA T4", "memory: 16.0 GiB, 40.0 GiB", "power limit: 400 W, 70 W"):
        assert what in found["gpus"].found
    assert "topology level 60; 4 NVLinks up" in found["00000000:41:00.0 to 00000000:42:00.0"].found
    machine.fails("nvmlDeviceGetTopologyCommonAncestor", UNSUPPORTED)
    assert checks()["00000000:41:00.0 to 00000000:42:00.0"].good is None


def test_a_mig_instance(machine: Machine) -> None:
    machine.gpus = [Gpu(mig=1), MIG_INSTANCE]
    machine.write()
    found = checks()
    assert found["gpus"].found == "1 x NVIDIA A100-SXM4-40GB MIG 3g.20gb, MIG 3g.20gb"
    assert "MIG instance" in found["energy"].found
    assert found["energy"].good is None


def test_what_may_not_be_read_is_unknown_and_no_fault(machine: Machine) -> None:
    machine.fails("nvmlDeviceGetCount_v2", NO_PERMISSION)
    (check,) = preflight()
    assert check == Check("nvml", None, check.found, None)
    machine.works_again()
    for function in (
        "nvmlDeviceGetClockInfo",
        "nvmlDeviceGetEnforcedPowerLimit",
        "nvmlDeviceGetPersistenceMode",
        "nvmlDeviceGetEccMode",
        "nvmlDeviceGetCurrPcieLinkGeneration",
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetComputeMode",
        "nvmlDeviceGetMemoryInfo",
        "nvmlDeviceGetTemperature",
    ):
        machine.fails(function, NO_PERMISSION)
    found = checks()
    unknown = {name for name, check in found.items() if check.good is None}
    assert unknown == {"SM clock", "power limit", "persistence", "ECC", "PCIe", "other processes", "compute mode"}
    assert found["health"].found == "no slow-down, temperature unknown"


def test_the_most_may_be_unknown_where_the_present_is_not(machine: Machine) -> None:
    for function in ("nvmlDeviceGetMaxClockInfo", "nvmlDeviceGetMaxPcieLinkWidth"):
        machine.fails(function, UNSUPPORTED)
    machine.fails("nvmlDeviceGetPowerManagementDefaultLimit", UNSUPPORTED)
    found = checks()
    assert (found["SM clock"].good, found["PCIe"].good) == (None, None)
    assert found["power limit"] == Check("power limit", True, "400 W", None)


def test_a_card_without_a_counter(machine: Machine) -> None:
    machine.change(counter_period=0)
    assert "watts can be sampled instead" in checks()["energy"].found
    machine.fails("nvmlDeviceGetFieldValues", NO_PERMISSION)
    assert checks()["energy"].good is None
    machine.change(counter_period=0.01)
    assert checks()["energy"].found.endswith("ms")


def test_a_lost_card(machine: Machine) -> None:
    machine.fails("nvmlDeviceGetTemperature", LOST)
    health = checks()["health"]
    assert health.good is False
    assert "lost" in health.found


def test_no_driver_and_nothing_visible(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert preflight()[0].remedy == "unset CUDA_VISIBLE_DEVICES"
    machine.fails("nvmlInitWithFlags", 12)
    (check,) = preflight()
    assert check.remedy == "nvidia-smi"
