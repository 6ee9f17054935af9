"""The processor's energy, from a folder as the kernel shows it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_gpuperf.device import counter
from pytest_gpuperf.device.counter import CpuMeter
from pytest_gpuperf.device.readings import Missing


def zone(folder: Path, number: str, name: str, microjoules: int, most: int = 262_143_328_850) -> Path:
    path = folder / f"intel-rapl:{number}"
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{microjoules}\n")
    (path / "max_energy_range_uj").write_text(f"{most}\n")
    return path


def test_packages_are_added_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    zone(tmp_path, "0", "package-0", 1_500_000)
    zone(tmp_path, "1", "package-1", 2_000_000)
    zone(tmp_path, "0:0", "core", 700_000)
    zone(tmp_path, "2", "psys", 9_000_000)
    (tmp_path / "intel-rapl:3").mkdir()  # without a name
    meter = CpuMeter(tmp_path)
    assert meter.energy() == pytest.approx(3.5)
    assert meter.wraps_at is None
    assert meter.refused() is None
    assert "everybody" in meter.name


def test_one_package_wraps_where_it_says(tmp_path: Path) -> None:
    package = zone(tmp_path, "0", "package-0", 0, most=65_532_610_987)
    assert CpuMeter(tmp_path).wraps_at == pytest.approx(65_532.610987)
    (package / "max_energy_range_uj").unlink()
    assert CpuMeter(tmp_path).wraps_at is None


def test_watts_are_the_mean_since_the_reading_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = zone(tmp_path, "0", "package-0", 1_000_000)
    times = iter([10.0, 12.0, 12.001, 13.0, 14.0])
    monkeypatch.setattr(counter, "monotonic", lambda: next(times))
    meter = CpuMeter(tmp_path)
    assert isinstance(meter.power(), Missing)
    (package / "energy_uj").write_text("61000000")
    assert meter.power() == pytest.approx(30.0)
    assert meter.power() == pytest.approx(30.0)  # too soon for another
    (package / "energy_uj").write_text("0")  # it has wrapped
    assert meter.power() == pytest.approx(30.0)
    (package / "energy_uj").write_text("5000000")
    assert meter.power() == pytest.approx(5.0)


def test_a_machine_without_it_says_so(tmp_path: Path) -> None:
    meter = CpuMeter(tmp_path)
    for reading in (meter.energy(), meter.power()):
        assert isinstance(reading, Missing)
        assert "/sys/class/powercap" in str(reading)


def test_a_counter_for_root_only_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = zone(tmp_path, "0", "package-0", 1)
    counter = package / "energy_uj"
    if os.geteuid() == 0:  # root may read everything: have the kernel refuse it
        real = Path.read_text

        def read_text(path: Path, *arguments: str) -> str:
            if path == counter:
                raise PermissionError
            return real(path, *arguments)

        monkeypatch.setattr(Path, "read_text", read_text)
    else:  # pragma: no cover - the other kind of user
        counter.chmod(0)
    reading = CpuMeter(tmp_path).energy()
    assert isinstance(reading, Missing)
    assert reading.why == "permission"
    assert f"sudo chmod a+r {counter}" in reading.reason


def test_nonsense_is_no_number(tmp_path: Path) -> None:
    package = zone(tmp_path, "0", "package-0", 1)
    (package / "energy_uj").write_text("much")
    assert isinstance(CpuMeter(tmp_path).energy(), Missing)
