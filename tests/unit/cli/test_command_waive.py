"""Story: a regression that is tolerated for a while, in the open."""

from __future__ import annotations

import pytest
from command import gpuperf
from examples import a_baseline, a_run

from pytest_gpuperf.records.files import read_baseline, write_baseline, write_run

CASE = "tests/test_x.py::test[a]"


@pytest.fixture
def folder(tmp_path):
    write_baseline(tmp_path / "base.json", a_baseline(*range(10), cases=("a",)))
    write_run(tmp_path / "slow.json", a_run(20, 21, 22, level=0.02))
    return tmp_path


def waive(folder, *arguments):
    return gpuperf("waive", *arguments, "--into", "base.json", cwd=folder, bare=True)


def test_a_waived_regression_passes_and_is_shown_until_its_day(folder):
    assert gpuperf("compare", "base.json", "slow.json", cwd=folder).returncode == 1
    done = waive(folder, CASE, "--until", "2999-12-31", "--reason", " the new kernel ")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{CASE}: waived until 2999-12-31 (the new kernel).\n"
    compared = gpuperf("compare", "base.json", "slow.json", cwd=folder)
    assert compared.returncode == 0
    assert f"waived until 2999-12-31: {CASE} (the new kernel)" in compared.stdout
    taken_back = waive(folder, CASE, "--remove")
    assert taken_back.stdout == f"{CASE}: no longer waived.\n"
    assert read_baseline(folder / "base.json").cases[0].waiver is None
    assert gpuperf("compare", "base.json", "slow.json", cwd=folder).returncode == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((CASE,), "A waiver needs an end and a reason"),
        ((CASE, "--until", "2999-12-31"), "A waiver needs an end and a reason"),
        ((CASE, "--until", "2999-12-31", "--reason", "  "), "A waiver needs an end and a reason"),
        ((CASE, "--until", "soon", "--reason", "x"), "'soon' is no day"),
        ((CASE, "--until", "2999-02-30", "--reason", "x"), "is no day"),
        ((CASE, "--until", "2001-01-01", "--reason", "x"), "is past"),
        ((CASE, "--remove", "--reason", "x"), "--remove takes neither"),
        (("tests/test_x.py::test[b]", "--remove"), f"Did you mean {CASE}?"),
    ],
)
def test_a_waiver_that_makes_no_sense_changes_nothing(folder, arguments, said):
    before = (folder / "base.json").read_bytes()
    done = waive(folder, *arguments)
    assert (done.returncode, done.stdout) == (4, "")
    assert said in done.stderr
    assert (folder / "base.json").read_bytes() == before


def test_no_baseline_is_made_by_a_waiver(folder):
    (folder / "base.json").unlink()
    done = waive(folder, CASE, "--until", "2999-12-31", "--reason", "x")
    assert done.returncode == 4
    assert "there is no such file" in done.stderr
    assert not (folder / "base.json").exists()


def test_a_name_is_only_printed(folder):
    done = waive(folder, "x\x1b[31m", "--remove")
    assert done.returncode == 4
    assert "x\\x1b[31m" in done.stderr
