"""Watts of main memory by the model, and a reason where its size is not known."""

from __future__ import annotations

import pytest

from pytest_gpuperf.device.ram import ram_watts, watts_of
from pytest_gpuperf.device.readings import Missing


# What codecarbon 3.3.2's RAM._calculate_ram_power says of as much memory.
@pytest.mark.parametrize(
    ("gibibytes", "x86", "arm"),
    [
        (1, 10.0, 3.0),
        (16, 10.0, 3.0),
        (24, 20.0, 6.0),
        (64, 20.0, 6.0),
        (100, 38.0, 11.4),
        (256, 38.0, 11.4),
        (768, 54.0, 16.2),
        (2000, 70.0, 21.0),
        (9000, 126.0, 37.8),
    ],
)
def test_more_modules_take_less_each(gibibytes, x86, arm):
    assert watts_of(gibibytes, arm=False) == pytest.approx(x86)
    assert watts_of(gibibytes, arm=True) == pytest.approx(arm)


def test_of_this_machine(tmp_path):
    file = tmp_path / "meminfo"
    file.write_text("MemFree: 1 kB\nMemTotal:       24684100 kB\n")
    assert ram_watts(file) in {20.0, 6.0}
    assert ram_watts() >= 3.0


@pytest.mark.parametrize("content", [None, "MemFree: 1 kB\n"])
def test_a_size_that_is_not_known_is_a_reason(tmp_path, content):
    file = tmp_path / "meminfo"
    if content is not None:
        file.write_text(content)
    found = ram_watts(file)
    assert isinstance(found, Missing)
    assert "the size of the memory is not known" in found.reason
