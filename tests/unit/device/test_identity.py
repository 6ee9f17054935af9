from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_gpuperf.device import identity


@pytest.fixture
def root(tmp_path) -> Path:
    for folder in ("proc", "sys/fs/cgroup/cpu", "sys/module/nvidia"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def test_this_machine():
    device = identity.cpu_device()
    assert device.kind == "cpu"
    assert device.name
    assert device.memory > 2**20
    assert 1 <= (device.cores or 0) <= (os.cpu_count() or 1)
    assert identity.cpu_device() == device, "nothing that changes while it runs"


def test_a_processor_by_its_files(root):
    (root / "proc/cpuinfo").write_text("processor\t: 0\nmodel name\t:\nmodel name\t: Some CPU @ 3 GHz\n")
    (root / "proc/meminfo").write_text("MemFree: 1 kB\nMemTotal:  2048 kB\n")
    device = identity.cpu_device(root)
    assert (device.name, device.memory) == ("Some CPU @ 3 GHz", 2048 * 1024)


def test_a_machine_that_says_little(root):
    device = identity.cpu_device(root)
    assert device.name
    assert device.memory > 0
    (root / "proc/meminfo").write_text("MemFree: 1 kB\n")
    assert identity.cpu_device(root).memory == device.memory
    assert identity.driver_version(root) is None


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 1_000),
        ({"cpu.max": "max 100000"}, 1_000),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "5000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 1_000),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
    ],
)
def test_a_containers_quota_counts(root, files, cores):
    for name, text in files.items():
        (root / "sys/fs/cgroup" / name).write_text(text + "\n")
    assert identity.usable_cores(root) == min(cores, len(os.sched_getaffinity(0)))


def test_affinity_counts():
    one = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, {{{one}}}); from pytest_gpuperf.device import identity; "
        "assert identity.usable_cores() == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_versions_are_read_without_importing():
    code = (
        "import sys; from pytest_gpuperf.device import identity; found = identity.software(); "
        "assert {'python', 'gpuperf', 'numpy'} <= set(found), found; "
        "assert not {'torch', 'torchvision', 'timm', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    assert set(identity.software()) == {"python"}


def test_the_drivers_version(root):
    (root / "sys/module/nvidia/version").write_text("550.54.14\n")
    assert identity.driver_version(root) == "550.54.14"


def test_a_card_is_one_card_however_its_uuid_is_written():
    uuid = "1f2e3d4c-0000-1111-2222-333344445555"
    assert identity.card_hash(uuid) == identity.card_hash(f"GPU-{uuid.upper()}")
    assert identity.card_hash(uuid) != identity.card_hash(uuid.replace("5", "6"))
    assert uuid[:8] not in identity.card_hash(uuid)
