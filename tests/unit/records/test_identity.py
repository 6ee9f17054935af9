"""The same kind of device or another one, and what else changed."""

from __future__ import annotations

import msgspec
import pytest
from examples import DEVICE

from pytest_gpuperf.records.same_device import device_differences, software_changes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "cpu"}, "kind cuda, here cpu"),
        ({"name": "NVIDIA L4"}, "name Tesla T4, here NVIDIA L4"),
        ({"capability": "8.9"}, "compute capability 7.5, here 8.9"),
        ({"mig": "3g.40gb"}, "MIG profile none, here 3g.40gb"),
        ({"power_limit": 60.0}, "power limit in watts 70, here 60"),
        ({"power_limit": 69.0}, "power limit in watts 70, here 69"),
        ({"cores": 4}, "cores none, here 4"),
        ({"memory": 14 * 2**30}, "memory 15.0 GiB, here 14.0 GiB"),
    ],
)
def test_another_kind_of_device(change: dict[str, object], said: str) -> None:
    other = msgspec.structs.replace(DEVICE, **change)
    assert device_differences(DEVICE, other) == [said]
    assert len(device_differences(other, DEVICE)) == 1


@pytest.mark.parametrize("share", [0.951, 1.0, 1.049])
def test_a_little_more_or_less_memory_is_the_same_kind(share: float) -> None:
    other = msgspec.structs.replace(DEVICE, memory=int(15 * 2**30 * share))
    assert device_differences(DEVICE, other) == device_differences(other, DEVICE) == []


@pytest.mark.parametrize("watts", [69.4, 69.99, 70.001, 70.7])
def test_the_same_power_limit_told_a_little_otherwise_is_the_same_kind(watts: float) -> None:
    other = msgspec.structs.replace(DEVICE, power_limit=watts)
    assert device_differences(DEVICE, other) == device_differences(other, DEVICE) == []


def test_what_is_not_known_is_no_difference() -> None:
    other = msgspec.structs.replace(DEVICE, memory=None, power_limit=None)
    assert device_differences(DEVICE, other) == device_differences(other, DEVICE) == []


def test_software_that_changed_came_or_went() -> None:
    before = {"torch": "2.13.0", "driver": "595", "cuda": "13.0"}
    now = {"torch": "2.15.0", "driver": "595", "timm": "1.0"}
    assert software_changes(before, now) == ["cuda 13.0 -> none", "timm none -> 1.0", "torch 2.13.0 -> 2.15.0"]
    assert software_changes(now, now) == []
