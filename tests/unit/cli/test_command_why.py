"""``gpuperf why``: what ran, and what changed in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import gpuperf
from examples import a_baseline, a_run
from profiles import CONVOLUTION, COPY, RELU, a_profile, profiled_baseline, profiled_run

from pytest_gpuperf.cli import main
from pytest_gpuperf.records.files import write_baseline, write_run

CASE = "tests/test_x.py::test[a]"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    write_run("slow.json", profiled_run(a_run(6, 7, 8, level=0.012), a_profile(CONVOLUTION, RELU, COPY)))
    write_run("same.json", profiled_run(a_run(6, 7, 8), a_profile()))
    write_run("bare.json", a_run(6, 7, 8, level=0.012))
    write_run("new.json", profiled_run(a_run(6, cases=("new",)), a_profile()))
    write_baseline("base.json", profiled_baseline(a_baseline(0, 1, 2, 3, 4), a_profile()))
    return tmp_path


def test_it_needs_neither_torch_nor_pytest(folder: Path) -> None:
    done = gpuperf("why", "slow.json", "--baseline", "base.json", cwd=folder, bare=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(CASE)
    assert "1. 2 copies more: elementwise copy fp16 (contiguous) x2" in done.stdout
    assert "appeared" in done.stdout


def test_what_compare_says_of_the_same_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "base.json", "slow.json"]) == 1
    assert "why: 2 copies more: elementwise copy fp16 (contiguous) x2" in capsys.readouterr().out


def test_what_ran(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "slow.json"]) == 0
    assert "39 kernels" in capsys.readouterr().out
    assert main(["why", "bare.json"]) == 0
    assert "This run keeps no kernels" in capsys.readouterr().out


def test_a_case_is_named_by_a_part_of_its_id(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "same.json", "test[a", "--baseline", "base.json"]) == 0
    assert "time per call unchanged" in capsys.readouterr().out
    assert main(["why", "same.json", CASE]) == 0
    assert capsys.readouterr().out.startswith(CASE)
    assert main(["why", "same.json", "nobody"]) == 4
    assert "No case of this run is called 'nobody'" in capsys.readouterr().err


def test_nothing_to_explain(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "same.json", "--baseline", "base.json"]) == 0
    assert "No case regressed or improved" in capsys.readouterr().out
    assert main(["why", "new.json", "new", "--baseline", "base.json"]) == 0
    assert "base.json does not know this case" in capsys.readouterr().out


def test_a_run_without_kernels_says_what_to_type(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "bare.json", "--baseline", "base.json"]) == 0
    assert "--gpuperf-save makes one" in capsys.readouterr().out
