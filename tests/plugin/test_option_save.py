"""--gpuperf-save: a user records one session."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from pytest_gpuperf.records.files import read_run
from pytest_gpuperf.sessions.provenance import packages_hash

ONE = """
    def test_spin(gpuperf):
        gpuperf(spin, 0.2, items=3)
"""


def test_the_run_holds_the_case_and_where_it_comes_from(story):
    story.suite(ONE)
    result = story.run("--gpuperf-save", "run.json")
    result.stdout.fnmatch_lines(["gpuperf: recorded 1 case in *run.json"])

    run = read_run(story.path / "run.json")
    (case,) = run.cases
    (measurement,) = case.measurements
    (session,) = run.sessions
    assert case.id == case.test == "test_perf.py::test_spin"
    assert case.line == 5
    assert measurement.items == 3
    assert measurement.session == session.id
    assert {"matmul", "copy", "loop"} <= set(session.canaries)
    assert len(session.canaries["loop"]) == 2  # before the case and at the end
    assert session.packages == packages_hash()
    assert run.environment.device.kind == "cpu"
    assert run.scope.paths == (".",)


def test_of_many_short_cases_each_has_no_reading_of_its_own(story):
    story.suite("@pytest.mark.parametrize('n', range(10))\ndef test_spin(gpuperf, n):\n    gpuperf(spin, 0.1)\n")
    assert story.run("--gpuperf-save", "run.json", "--gpuperf-budget", "0.02").ret == 0
    (session,) = read_run(story.path / "run.json").sessions
    assert 2 <= len(session.canaries["loop"]) < 8


def test_a_root_that_an_options_value_moved_is_refused(story):
    project = story.path / "project"
    (project / "tests").mkdir(parents=True)
    story.suite(ONE, "project/tests/test_perf.py")
    story.pytester.makepyfile(**{"project/tests/spinning": (story.path / "spinning.py").read_text()})
    (story.path / "tox.ini").unlink()
    story.pytester.chdir()
    os.chdir(project)
    words = ("tests", "--gpuperf-save", str(story.path / "run.json"))
    assert story.run(*words).ret == 0
    result = story.run(*words)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: pytest took {story.path} for the root of this project*project/..*"])
    assert story.run("tests", f"--gpuperf-save={story.path / 'run.json'}").ret == 0


def test_a_failed_test_leaves_no_figures(story):
    story.suite("""
        def test_wrong(gpuperf):
            gpuperf(spin, 0.2)
            assert not "the answer is wrong"

        def test_right(gpuperf):
            gpuperf(spin, 0.2)
    """)
    story.run("--gpuperf-save", "run.json").assert_outcomes(failed=1, passed=1)
    run = read_run(story.path / "run.json")
    assert [c.test for c in run.cases] == ["test_perf.py::test_right"]
    assert run.scope.unmeasured == {"test_perf.py::test_wrong": "failed in call"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_being_asked_to_end_in_the_second_case_keeps_the_first(story, number):
    story.suite("""
        from pathlib import Path

        def test_first(gpuperf):
            gpuperf(spin, 0.2)

        def test_second(gpuperf):
            Path("second").touch()
            gpuperf(spin, 60_000)
    """)
    command = [sys.executable, "-m", "pytest", "--gpuperf-device", "cpu", "--gpuperf-save", "run.json"]
    process = subprocess.Popen(command, cwd=story.path, stdout=subprocess.PIPE, text=True)
    while not (story.path / "second").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 2, said
    assert "gpuperf: recorded 1 case in" in said
    assert [c.test for c in read_run(story.path / "run.json").cases] == ["test_perf.py::test_first"]


def test_ctrl_c_in_the_second_case_keeps_the_first(story):
    story.suite("""
        def test_first(gpuperf):
            gpuperf(spin, 0.2)

        def test_second(gpuperf):
            def interrupted():
                raise KeyboardInterrupt
            gpuperf(interrupted)
    """)
    result = story.pytester.runpytest_subprocess("--gpuperf-device", "cpu", "--gpuperf-save", "run.json")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    run = read_run(story.path / "run.json")
    assert [c.test for c in run.cases] == ["test_perf.py::test_first"]
    assert run.scope.unmeasured["test_perf.py::test_second"].startswith("not run")


def test_a_missing_folder_is_made(story):
    story.suite(ONE)
    assert story.run("--gpuperf-save", "results/today/run.json").ret == 0
    assert (story.path / "results/today/run.json").exists()


def test_a_target_below_a_file_is_refused_before_measuring(story):
    story.suite(ONE)
    (story.path / "results").touch()
    result = story.run("--gpuperf-save", "results/run.json")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *run.json: cannot be written*"])
    assert "passed" not in result.stdout.str()


def test_a_folder_is_no_target(story):
    story.suite(ONE)
    (story.path / "run.json").mkdir()
    result = story.run("--gpuperf-save", "run.json")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *run.json: cannot be written*"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_an_unwritable_folder_is_refused(story):
    story.suite(ONE)
    target = story.path / "locked"
    target.mkdir(mode=0o500)
    result = story.run("--gpuperf-save", "locked/run.json")
    assert result.ret == 4


def test_a_target_that_breaks_at_the_end_is_one_clear_error(story):
    story.suite("""
        from pathlib import Path

        def test_spin(gpuperf):
            gpuperf(spin, 0.2)
            Path("results").rmdir()
            Path("results").touch()
    """)
    result = story.run("--gpuperf-save", "results/run.json")
    assert result.ret == 4
    result.stdout.fnmatch_lines(["gpuperf: *run.json*"])
