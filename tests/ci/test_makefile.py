"""`make perf` where a card is there and torch cannot use it: stand-ins for what is installed, and for nvidia-smi."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAND_INS = {
    "python": "echo cpu",  # where torch sees no device
    "gpuperf": 'echo "ran: $*"',
    "nvidia-smi": '[ "$1" = -L ] && echo "GPU 0: Tesla T4 (UUID: GPU-1)"',
}
BROKEN = "echo NVIDIA-SMI has failed because it could not communicate with the driver; exit 9"


@pytest.fixture
def project(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "constraints.txt", "installed"):  # the last one is the newest: nothing to install
        (tmp_path / name).touch()
    (tmp_path / "bin").mkdir()
    for name, script in STAND_INS.items():
        stand_in(tmp_path, name, script)
    return tmp_path


def stand_in(project: Path, name: str, script: str) -> None:
    path = project / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def perf(project: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES" and not k.startswith("MAKE")}
    path = f"{project / 'bin'}:{inherited['PATH']}"
    return subprocess.run(
        ["make", "perf", "BIN=bin", "INSTALLED=installed"],
        cwd=project,
        env={**inherited, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_card_that_torch_cannot_use_stops_it_with_the_reason(project):
    done = perf(project)
    assert done.returncode != 0
    assert "ran: doctor --device cuda" in done.stdout
    assert "Stopped: there is an NVIDIA card, and torch cannot use it" in done.stdout
    assert "calibrate" not in done.stdout


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_card_that_is_hidden_is_a_choice(project, hidden):
    done = perf(project, CUDA_VISIBLE_DEVICES=hidden)
    assert done.returncode == 0, done.stderr
    assert "measuring on the CPU" in done.stdout
    assert "ran: calibrate" in done.stdout


def test_a_card_among_those_chosen_is_not_hidden(project):
    assert "Stopped" in perf(project, CUDA_VISIBLE_DEVICES="0").stdout


def test_without_a_card_the_cpu_is_measured(project):
    stand_in(project, "nvidia-smi", BROKEN)
    assert "ran: calibrate" in perf(project).stdout
