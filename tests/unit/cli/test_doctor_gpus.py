"""Story: the doctor on a machine with GPUs, which a scripted library plays to the real command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from nvml.standin import Gpu, Machine

from pytest_gpuperf.cli import checks


def doctor(machine: Machine, library: Path) -> str:
    """What the real command prints there."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest_gpuperf", "doctor"],
        env={**machine.environment(library), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_two_gpus_and_everything_about_them(machine: Machine, nvml_library: Path) -> None:
    machine.gpus.append(Gpu(uuid="GPU-2", pci="00000000:42:00.0", nvlinks=4, persistence=0, reasons={0: 0x48}))
    machine.write()
    said = doctor(machine, nvml_library)
    assert "ok    driver       550.54.15" in said
    assert "ok    gpus         2 x NVIDIA A100-SXM4-40GB" in said
    assert "ok    00000000:41:00.0 to 00000000:42:00.0 PCIe through the link between processors; no NVLink" in said
    assert "ok    health of GPU 0 no slow-down, 45 C" in said
    assert "LACK  health of GPU 1 thermal slow-down, 45 C" in said
    assert "mend it: sudo nvidia-smi -pm 1" in said
    assert "ok    energy of GPU 0 counter moves every 1" in said
    if not torch.cuda.is_available():
        assert "LACK  torch" in said  # NVML has seen cards, and torch says why it can use none
        assert "it can use no card: Found no NVIDIA driver on your system." in said


def test_what_a_library_lacks_is_no_fault_of_the_machine(machine: Machine, old_nvml_library: Path) -> None:
    said = doctor(machine, old_nvml_library)
    assert "mean of up to 1 s" in said
    assert "LACK  health" not in said


def test_gpus_that_nothing_is_known_of() -> None:
    assert list(checks.gpus({"checks": [{"name": "nvml", "found": "", "good": None, "remedy": None}]})) == []
    (broken,) = checks.gpus({"error": "it died"})
    assert not broken.good


def test_energy_of_the_processor() -> None:
    assert checks.cpu_energy({"joules": 1.0}).good
    hidden = checks.cpu_energy({"reason": "root only. Allow it: sudo chmod a+r FILE", "why": "permission"})
    assert not hidden.good
    assert "sudo chmod" in hidden.says
    assert checks.cpu_energy({"reason": "nothing there", "why": "unsupported"}).good
    assert "it died" in checks.cpu_energy({"error": "it died"}).says
