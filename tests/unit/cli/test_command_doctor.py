"""Story: asking what this machine can measure, and what mends what is missing."""

from __future__ import annotations

import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from command import gpuperf
from msgspec import structs

from pytest_gpuperf.cli import checks, doctor, machine
from pytest_gpuperf.device.identity import nvidia_cards
from pytest_gpuperf.records.certificate import Certificate, judged
from pytest_gpuperf.records.model import Device, Environment
from pytest_gpuperf.sessions.certify import keep

CUDA = {"version": "2.15.0", "cuda": "13.2", "available": True}
BROKEN = {"error": "ModuleNotFoundError: No module named 'torch'"}


def test_it_looks_at_everything_and_ends_well(tmp_path):
    done = gpuperf("doctor", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for what in ("python", "pytest", "xdist", "driver", "torch", "onnxruntime", "cpu clock", "noise"):
        assert f"ok    {what} " in done.stdout or f"LACK  {what} " in done.stdout
    assert "Measures on: " in done.stdout


def test_a_device_that_is_asked_for(tmp_path):
    assert "(cpu), timed by the host clock" in gpuperf("doctor", "--device", "cpu", cwd=tmp_path).stdout
    done = gpuperf("doctor", "--device", "banana", cwd=tmp_path)
    assert done.returncode == 4
    assert "'banana' is not a device" in done.stdout


def test_a_module_of_the_user_s_folder_shadows_nothing(tmp_path):
    (tmp_path / "torch.py").write_text("raise SystemExit('shadowed')")
    assert "shadowed" not in gpuperf("doctor", cwd=tmp_path).stdout


def test_a_check_that_breaks_ends_only_itself():
    def faint():
        raise OSError("no such thing")

    (line,) = doctor.guarded("driver", faint)
    assert not line.good
    assert line.says == "could not be checked: OSError('no such thing')"


def test_facts_come_from_a_process_that_may_die():
    assert machine.ask("facts = {'a': 1}") == {"a": 1}
    assert machine.ask("print('noise on the way')\nfacts = {'a': 1}") == {"a": 1}
    assert machine.ask("import no_such_module") == {"error": "ModuleNotFoundError: No module named 'no_such_module'"}
    assert machine.ask("import os; os._exit(9)") == {"error": "the interpreter ended with code 9"}
    assert "timed out" in machine.ask("import time; time.sleep(60)", 0.5)["error"]


def test_python_says_whether_pytest_is_there():
    assert [c.what for c in checks.python() if c.good] == ["python", "pytest", "xdist"]
    missing = checks.pytest(None)
    assert missing.mend == f"{machine.installer()} install 'pytest<10,>=8.2'"


def test_xdist_is_no_lack():
    assert checks.xdist(None).good
    assert "pytest -n 0" in checks.xdist("3.8.0").says


def test_the_driver():
    good = list(checks.driver({"driver": "595.71", "names": ["Tesla T4"]}, 1, container=True))
    assert [(c.what, c.says, c.good) for c in good] == [("driver", "595.71", True), ("cards", "Tesla T4", True)]
    assert not list(checks.driver({"driver": "595.71", "names": []}, 1, container=False))[1].good
    (hidden,) = checks.driver({"error": "not found"}, 1, container=True)
    assert "docker run --gpus all" in hidden.says
    (none,) = checks.driver({"error": "not found"}, 0, container=False)
    assert none.good
    assert "--gpuperf-device cpu" in none.says


@pytest.mark.parametrize("tool", [True, False])
def test_a_driver_is_installed_by_a_tool_that_is_there(tmp_path, monkeypatch, tool):
    if tool:
        (tmp_path / "ubuntu-drivers").write_text("#!/bin/sh\n")
        (tmp_path / "ubuntu-drivers").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (lacking,) = checks.driver({"error": "not found"}, 2, container=False)
    assert lacking.mend == ("sudo ubuntu-drivers install" if tool else None)
    assert "2 NVIDIA cards" in lacking.says


def test_torch(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert checks.torch(BROKEN, 0).mend == f"{machine.installer()} install 'torch>=2.4'"
    assert checks.torch(CUDA, 1) == checks.DoctorLine("torch", "2.15.0, built for CUDA 13.2")
    assert checks.torch({"version": "2.15.0", "cuda": None, "available": False}, 0).good
    processors = checks.torch({"version": "2.15.0", "cuda": None, "available": False}, 1)
    assert processors.mend.endswith(" install --force-reinstall torch")
    blind = checks.torch(CUDA | {"available": False}, 1)
    assert (blind.good, blind.mend) == (False, None)
    assert "the driver is missing, or older" in blind.says
    old = "The NVIDIA driver on your system is too old (found version 11040)."
    assert checks.torch(CUDA | {"available": False, "why": old}, 1).says.endswith(f"it can use no card: {old}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert checks.torch(CUDA | {"available": False}, 1).mend == "unset CUDA_VISIBLE_DEVICES"


def test_what_the_project_does_not_name_is_no_lack(tmp_path):
    absent = {"error": "ModuleNotFoundError: No module named 'onnxruntime'"}
    assert not checks.onnxruntime(absent, 1).good
    assert checks.onnxruntime(absent, 1, used=False) == checks.DoctorLine("onnxruntime", checks.UNUSED)
    assert checks.torch(absent, 1, used=False) == checks.DoctorLine("torch", checks.UNUSED)
    assert not checks.torch({"error": "OSError: libcudart.so.13"}, 1, used=False).good, "it is there, and broken"
    assert not machine.names(tmp_path, "torch")
    for file in ("venv/lib/x.py", ".tox/x.py", "notes.txt"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("import torch")
    (tmp_path / "gone.py").symlink_to("nowhere.py")
    assert not machine.names(tmp_path, "torch")
    (tmp_path / "src").mkdir()
    (tmp_path / "src/model.py").write_bytes(b"\xff import torch")
    assert machine.names(tmp_path, "torch")


def test_of_a_folder_too_large_to_look_through_nothing_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_MOST_FILES", 1)
    (tmp_path / "a.py").write_text("")
    assert not machine.names(tmp_path, "torch")
    (tmp_path / "b.py").write_text("")
    assert machine.names(tmp_path, "torch")


def test_onnxruntime():
    assert checks.onnxruntime(BROKEN, 0).mend.endswith(" install 'onnxruntime-gpu[cuda,cudnn]>=1.20'")
    processors = {"version": "1.31", "providers": ["CPUExecutionProvider"]}
    assert checks.onnxruntime(processors, 0).good
    assert not checks.onnxruntime(processors, 1).good
    both = processors | {"providers": ["CUDAExecutionProvider", "CPUExecutionProvider"]}
    assert checks.onnxruntime(both, 1).good


def test_the_processor_s_clock():
    assert checks.governor(set()).good
    assert checks.governor({"performance"}).good
    assert checks.governor({"powersave"}).mend.startswith("echo performance | sudo tee /sys/devices/system/cpu/")


def test_noise():
    assert checks.noise((0.1, 2), 0.01).good
    assert not checks.noise((1.9, 2), 0.01).good
    assert "record more sessions" in checks.noise((0.1, 2), 0.2).says
    assert checks.noise((1.9, 2), 0.01, threads=2).mend == "export OMP_NUM_THREADS=1"
    assert checks.noise((1.9, 2), 0.01).mend is checks.noise((1.9, 4), 0.2, threads=2).mend is None
    assert checks.noise((0.1, 2), 0.01, threads=2).good
    assert machine.unrest(10) >= 0
    assert machine.load()[1] >= 1


def test_what_the_kernel_says(tmp_path):
    def write(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    assert (nvidia_cards(tmp_path), machine.governors(tmp_path)) == (0, set())
    assert not machine.in_container(tmp_path)
    for number, (vendor, kind) in enumerate([("0x10de", "0x030200"), ("0x10de", "0x040300"), ("0x8086", "0x030000")]):
        write(f"sys/bus/pci/devices/{number}/vendor", vendor + "\n")
        write(f"sys/bus/pci/devices/{number}/class", kind + "\n")
    write("sys/bus/pci/devices/3/vendor", "0x10de")  # of no class: gone between two looks
    write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n")
    write("run/.containerenv", "")
    assert (nvidia_cards(tmp_path), machine.governors(tmp_path)) == (1, {"powersave"})
    assert machine.in_container(tmp_path)


def test_how_packages_get_in(monkeypatch, tmp_path):
    assert machine.version("no-such-distribution") is None
    monkeypatch.setattr("sys.path", [])  # pip is not to be found
    monkeypatch.delitem(sys.modules, "pip", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.installer() is None
    assert machine.install("torch") is None
    (tmp_path / "uv").write_text("#!/bin/sh\n")
    (tmp_path / "uv").chmod(0o755)
    assert machine.installer() == f"UV_PYTHON={shlex.quote(sys.executable)} uv pip"


@pytest.mark.parametrize("package", ["torch", "pytest"])
def test_a_printed_command_does_what_it_says(package):
    """Asked for what is installed already, so that nothing has to be fetched."""
    command = machine.install(package).replace(" install ", " install --no-index --no-deps --quiet --dry-run ")
    assert subprocess.run(command, shell=True, check=False, capture_output=True).returncode == 0


def test_a_command_that_installs_an_unlisted_package():
    assert machine.install("no-such-distribution").endswith(" install no-such-distribution")


def test_the_certificate_of_this_device(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert "certificate  none of this device yet" in " ".join(gpuperf("doctor", cwd=tmp_path).stdout.split("\n"))
    found = Certificate(
        gpuperf="0.1",
        environment=Environment(device=Device(kind="cpu", name="Laptop", memory=1), software={"torch": "2.15"}),
        card=None,
        created=datetime.now(UTC) - timedelta(days=3, hours=1),
        seconds=1.0,
        rows=(judged("timing", "a loop", "1", "1", holds=True),),
    )
    keep(found)
    said = " ".join(gpuperf("doctor", "--device", "cpu", cwd=tmp_path).stdout.split())
    assert "LACK certificate 3 days old: 1 of 1 row holds. Since then: " in said
    assert "mend it: gpuperf selftest" in said


def test_a_certificate_that_still_stands_and_one_that_fails():
    made = Certificate(
        gpuperf="0.1",
        environment=Environment(device=Device(kind="cpu", name="Laptop", memory=1), software={"torch": "2.15"}),
        card=None,
        created=datetime.now(UTC),
        seconds=1.0,
        rows=(judged("timing", "a loop", "1", "1", holds=True),),
    )
    check = checks.certificate(made, {"torch": "2.15"})
    assert (check.says, check.good) == ("made today: 1 of 1 row holds.", True)
    assert not checks.certificate(made, {"torch": "2.16"}).good
    failed = structs.replace(made, rows=(judged("timing", "a loop", "1", "1", holds=False),))
    assert not checks.certificate(failed, {"torch": "2.15"}).good
