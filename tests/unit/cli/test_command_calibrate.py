"""Story: a first baseline from fresh processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
from command import gpuperf
from examples import a_run

from pytest_gpuperf.results.files import read_baseline, write_run

SUITE = """
def test_sum(gpuperf):
    gpuperf(sum, range(10_000), items=2)
"""
PYTEST = ("--", "--gpuperf-device", "cpu", "--gpuperf-budget", "0.2", "-p", "no:cacheprovider")


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "test_suite.py").write_text(SUITE)
    return tmp_path


def test_every_session_is_a_process_and_the_baseline_holds_them(suite):
    done = gpuperf("calibrate", "--sessions", "2", "--few", "--into", "base.json", *PYTEST, "-k", "sum", cwd=suite)
    assert done.returncode == 0, done.stderr
    assert "gpuperf: session 1 of 2 recorded after" in done.stderr
    assert ", about" in done.stderr.splitlines()[0]
    assert ", about" not in done.stderr.splitlines()[1]
    assert done.stdout.endswith("base.json: 1 new\n")
    (case,) = read_baseline(suite / "base.json").cases
    assert (case.id, case.items, len({s.session for s in case.series})) == ("test_suite.py::test_sum", 2, 2)
    again = gpuperf("calibrate", "--sessions", "1", "--into", "base.json", *PYTEST, cwd=suite)
    assert again.returncode == 0, again.stderr


def test_a_suite_that_fails_changes_nothing(suite):
    (suite / "test_suite.py").write_text("def test_broken(gpuperf): assert False")
    done = gpuperf("calibrate", "--into", "base.json", *PYTEST, cwd=suite)
    assert done.returncode == 3
    assert "ended with exit code 1" in done.stderr
    assert not (suite / "base.json").exists()


def test_ctrl_c_changes_nothing(suite):
    (suite / "test_suite.py").write_text(
        "import pathlib, time\ndef test_slow(gpuperf):\n    pathlib.Path('started').touch()\n    time.sleep(300)\n"
    )
    command = [sys.executable, "-m", "pytest_gpuperf", "calibrate", "--into", "base.json", *PYTEST]
    # A test run that was started in the background ignores Ctrl-C, and so would what it starts.
    listens = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, cwd=suite, stderr=subprocess.PIPE, text=True, preexec_fn=listens)  # noqa: PLW1509 - no thread
    while not (suite / "started").exists() and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said == "gpuperf: interrupted; no file was changed.\n"
    assert not (suite / "base.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--sessions", "0", "--into", "base.json"), "--sessions: 0 measures nothing"),
        (("--sessions", "2", "--into", "base.json"), "--few to do with 2"),
        (("--sessions", "many", "--into", "base.json"), "invalid int value: 'many'"),
        (("--into", "no/such/base.json"), "Make it: mkdir -p no/such"),
        (("--into", "run.json"), "this is a run file"),
        (("--into", "base.json", "-m", "gpu"), "unrecognized arguments: -m"),
        ((), "the following arguments are required: --into"),
    ],
)
def test_what_can_be_refused_is_refused_before_an_hour_of_measuring(suite, arguments, said):
    write_run(suite / "run.json", a_run(0))
    done = gpuperf("calibrate", *arguments, cwd=suite)
    assert done.returncode == 4
    assert said in done.stderr
    assert "recorded" not in done.stderr
