"""CUDA_VISIBLE_DEVICES in all its forms."""

from __future__ import annotations

import pytest
from nvml.standin import MIG_INSTANCE, Gpu, Machine

from pytest_gpuperf.device.readings import Missing
from pytest_gpuperf.device.visible import visible_devices

A = "GPU-aaaa1111-0000-0000-0000-000000000000"
B = "GPU-bbbb2222-0000-0000-0000-000000000000"
C = "GPU-bbbb3333-0000-0000-0000-000000000000"


@pytest.fixture
def three(machine: Machine) -> Machine:
    machine.gpus = [Gpu(uuid=A, pci="0:1:0.0"), Gpu(uuid=B, pci="0:2:0.0"), Gpu(uuid=C, pci="0:3:0.0")]
    machine.write()
    return machine


def seen(value: str | None, **environment: str) -> list[object]:
    if value is not None:
        environment["CUDA_VISIBLE_DEVICES"] = value
    found = visible_devices(environment)
    assert not isinstance(found, Missing), found
    return [device.uuid for device in found]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, [A, B, C]),
        ("0", [A]),
        ("2,0", [C, A]),
        (" 1 , 2 ", [B, C]),
        ("0,7,1", [A]),  # read from the left until an unknown one
        ("0,-1,1", [A]),
        ("-1", []),
        ("", []),
        ("0,0", []),
        (A, [A]),
        (f"{C},{A}", [C, A]),
        ("GPU-aaaa", [A]),
        ("GPU-bbbb", []),  # fits two
        ("GPU-bbbb3,GPU-bbbb2", [C, B]),
        ("GPU-cccc", []),
        ("GPU-aaaa,1", [A]),  # the two forms do not mix
        ("nonsense", []),
    ],
)
@pytest.mark.usefixtures("three")
def test_forms(value: str | None, expected: list[str]) -> None:
    assert seen(value) == expected


def test_numbers_of_different_gpus_say_nothing_unless_they_count_by_bus(three: Machine) -> None:
    three.change(1, name="NVIDIA T4")
    missing = visible_devices({"CUDA_VISIBLE_DEVICES": "1"})
    assert isinstance(missing, Missing)
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in missing.reason
    assert seen("1", CUDA_DEVICE_ORDER="PCI_BUS_ID") == [B]
    assert seen(B) == [B]
    assert seen("-1") == []
    assert seen(None) == [A, B, C]


def test_a_divided_gpu_is_seen_as_one_instance(machine: Machine) -> None:
    other = "MIG-ffffffff-bbbb-cccc-dddd-eeeeeeeeeeee"
    old_name = f"MIG-{A}/1/0"
    machine.gpus = [
        Gpu(uuid=A, mig=1),
        Gpu(uuid=MIG_INSTANCE.uuid, name=MIG_INSTANCE.name, parent=0),
        Gpu(uuid=other, name=MIG_INSTANCE.name, parent=0),
        Gpu(uuid=old_name, name=MIG_INSTANCE.name, parent=0),
    ]
    machine.write()
    assert seen(None) == [MIG_INSTANCE.uuid]
    assert seen("0") == [MIG_INSTANCE.uuid]
    assert seen(other) == [other]
    assert seen("MIG-ffff") == [other]
    assert seen(f"{other},{MIG_INSTANCE.uuid}") == [other]
    assert seen(old_name) == [old_name]
    assert seen(f"MIG-{A}/9/9") == []


def test_without_the_driver_the_reason_is_given(machine: Machine) -> None:
    machine.fails("nvmlInitWithFlags", 12)
    assert isinstance(visible_devices({}), Missing)
