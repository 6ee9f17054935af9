"""The suite of `gpuperf study vit`: its cases have the same ids wherever it is installed, and gate like any others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from vit_runs import a_vit_run, case_of

import pytest_gpuperf
from pytest_gpuperf.comparison.acceptance import accept
from pytest_gpuperf.comparison.vit_order import every_case
from pytest_gpuperf.device import identity
from pytest_gpuperf.plugin.fresh_sessions import arguments_again
from pytest_gpuperf.plugin.shipped_suites import path_of
from pytest_gpuperf.records.files import read_run, write_baseline
from pytest_gpuperf.records.invocation import Invocation
from pytest_gpuperf.records.model import Environment
from pytest_gpuperf.records.vit_space import SPACES

pytest.importorskip("timm")

SUITE = ("--pyargs", "pytest_gpuperf.studies.vit_suite", "--gpuperf-device=cpu", "-p", "no:cacheprovider")
CENTRE, NARROW = case_of("p8-d2-h128-r64"), case_of("p8-d2-h64-r64")
HERE = Environment(device=identity.cpu_device(), software=identity.software())


def baseline_of(path, *cases, rate=5e10):
    """Five sessions of each, on this machine."""
    runs = [
        a_vit_run(case, number, rate=rate, environment=HERE, clock="host") for case in cases for number in range(1, 6)
    ]
    write_baseline(path, accept(None, runs, {}).baseline)
    return f"--gpuperf-compare={path}"


def collected(result):
    return [line for line in result.outlines if "::" in line]


@pytest.mark.parametrize("scale", ["smoke", "full"])
def test_every_case_of_the_scale_is_there_with_the_id_that_a_study_knows(pytester, scale):
    result = pytester.runpytest_inprocess(*SUITE, "--collect-only", "-q", f"--gpuperf-scale={scale}")
    assert sorted(collected(result)) == sorted(case.test for case in every_case(SPACES[scale]))


def test_beside_a_baseline_only_its_cases_are_collected(pytester):
    def found(compared):
        return collected(pytester.runpytest_inprocess(*SUITE, "--collect-only", "-q", compared))

    known = found(baseline_of(pytester.path / "vit.json", CENTRE, NARROW))
    assert [test for test in known if "NOTSET" not in test] == [CENTRE.test, NARROW.test]
    every = len(every_case(SPACES["smoke"]))
    assert len(found("--gpuperf-compare=auto")) == len(found("--gpuperf-compare=gone.json")) == every


def test_a_case_gates_against_a_study_s_baseline(pytester):
    compared = baseline_of(pytester.path / "vit.json", NARROW, rate=1e13)
    result = pytester.runpytest_inprocess(
        *SUITE, compared, "--gpuperf-budget=0.5", "--gpuperf-save=run.json", "--gpuperf-confirm=off"
    )
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*1 regressed; 1 of 1 decided*"])
    (case,) = read_run(pytester.path / "run.json").cases
    assert (case.id, case.parameters["hidden"]) == (NARROW.test, "64")


def test_a_fresh_process_is_given_the_file_itself(pytester):
    config = pytester.parseconfigure(*SUITE)
    assert arguments_again(config, [CENTRE.test], "scratch")[-1] == path_of(CENTRE.test, pytester.path)


def test_a_copy_of_the_file_is_somebody_s_own_suite(pytester):
    shutil.copy(Path(pytest_gpuperf.__file__).parent / "studies" / "vit_suite.py", pytester.path / "test_mine.py")
    result = pytester.runpytest_inprocess("--collect-only", "-q", "--gpuperf-device=cpu", "test_mine.py")
    assert collected(result)[0].startswith("test_mine.py::test_vit[p8-")


def test_what_cannot_run_is_a_skip_with_its_reason(pytester, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    ways = "(compile and not overhead and not max) or sync-gpu or local"
    result = pytester.runpytest_inprocess(*SUITE, "-rs", "-k", f"{CENTRE.vit.sizes} and ({ways})")
    result.assert_outcomes(skipped=3, deselected=len(every_case(SPACES["smoke"])) - 3)
    for reason in ("compile needs a C++ compiler", "preprocess: this needs the model on a CUDA device", "NUMA node"):
        assert reason in result.stdout.str()


@pytest.mark.parametrize("design", ["sync-cpu", "async-q2-cpu"])
def test_a_pipeline_is_measured_in_its_design(pytester, design):
    pytest.importorskip("torchvision")
    measured = "--gpuperf-budget=0.5", "--gpuperf-save=run.json", "-k", f"{CENTRE.vit.sizes} and {design}"
    pytester.runpytest_inprocess(*SUITE, *measured).assert_outcomes(
        passed=1, deselected=len(every_case(SPACES["smoke"])) - 1
    )
    (case,) = read_run(pytester.path / "run.json").cases
    figures = case.measurements[0].pipeline
    assert (figures.overlap, figures.depth, figures.batch) == (
        design != "sync-cpu",
        0 if design == "sync-cpu" else 2,
        8,
    )
    assert [stage.name for stage in figures.stages] == ["decode", "preprocess", "inference", "post-process"]
    assert case.parameters["design"] == design


def test_a_shipped_test_is_found_from_anywhere():
    installed = Path(pytest_gpuperf.__file__).parents[1]
    assert path_of(CENTRE.test, Path("/project")) == f"{installed}/{CENTRE.test}"
    assert path_of("tests/test_a.py::test_b", Path("/project")) == "/project/tests/test_a.py::test_b"


def test_a_command_that_people_paste_names_it_as_python_does():
    invocation = Invocation(options=("--pyargs", "--gpuperf-device", "cpu"), root="../project")
    assert invocation.arguments(CENTRE.test)[-1] == (
        "pytest_gpuperf.studies.vit_suite::test_vit[p8-d2-h128-r64-bf16-eager-8]"
    )
    assert invocation.arguments("tests/test_a.py::test_b")[-1] == "../project/tests/test_a.py::test_b"
    assert Invocation().arguments(CENTRE.test)[-1] == CENTRE.test
