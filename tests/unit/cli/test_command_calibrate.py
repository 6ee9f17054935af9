"""Story: a first baseline from fresh processes."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
from command import gpuperf
from examples import a_run

from pytest_gpuperf.cli.arguments import parse
from pytest_gpuperf.cli.calibrate import plan_of, summary
from pytest_gpuperf.comparison.resolution import Resolution
from pytest_gpuperf.errors import SessionError
from pytest_gpuperf.gate.unsteadiness import Unsteadiness
from pytest_gpuperf.records.files import read_baseline, write_run
from pytest_gpuperf.sessions.calibration import Calibration

SUITE = """
def test_sum(gpuperf):
    gpuperf(sum, range(10_000), items=2)
"""
PYTEST = ("--", "--gpuperf-device", "cpu", "--gpuperf-budget", "0.1", "-p", "no:cacheprovider")
# A call takes as long as the number of its session says; one session may fail.
NUMBERED = """
import time
from pathlib import Path

NUMBER = len(list(Path().glob("session-*")))
Path(f"session-{NUMBER}").touch()

def test_wait(gpuperf):
    assert NUMBER != FAILS
    gpuperf(time.sleep, 0.002 if NUMBER in SLOW else 0.001)
"""


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
    assert "base.json: 1 new\n2 sessions in " in done.stdout
    assert done.stdout.endswith(" s: too few to know what they can tell.\n")
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


def numbered(folder, *, slow=(), fails=None):
    (folder / "test_suite.py").write_text(NUMBERED.replace("SLOW", repr(slow)).replace("FAILS", repr(fails)))


def test_it_goes_on_until_every_case_can_tell_as_much(suite):
    numbered(suite)
    done = gpuperf("calibrate", "--until", "90%", "--into", "base.json", *PYTEST, cwd=suite)
    assert done.returncode == 0, done.stderr
    assert re.search(r"session 3 recorded after \d+ s; the worst case tells \d+\.\d%\n", done.stderr)
    assert re.search(r"base\.json: 1 new\n5 sessions in \d+ s: every case can tell 90%\.\n$", done.stdout)
    (case,) = read_baseline(suite / "base.json").cases
    assert len(case.series) == 5
    assert f"the worst case tells {case.margin:.1%}\n" in done.stderr.splitlines(keepends=True)[-1]


def test_it_says_which_case_is_worst_and_why(suite):
    numbered(suite, slow=(1, 4))
    done = gpuperf("calibrate", "--sessions", "6", "--into", "base.json", *PYTEST, cwd=suite)
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"6 sessions in \d+ s\.\n1 case cannot tell 3%, worst first:\n"
        r"test_suite\.py::test_wait tells \d\d\.\d%: bimodal: 4 sessions near [^,]+ ms, 2\s+near [^,]+ ms\n",
        done.stdout,
    )
    assert "gpuperf ab" not in done.stdout, "there are no revisions here"


def test_sessions_before_one_that_failed_are_not_lost(suite):
    numbered(suite, fails=5)
    done = gpuperf("calibrate", "--sessions", "8", "--into", "base.json", *PYTEST, cwd=suite)
    assert done.returncode == 3
    assert "ended with exit code 1" in done.stderr
    assert done.stderr.endswith("base.json has the 5 sessions recorded before it.\n")
    assert "base.json: 1 new" in done.stdout
    (case,) = read_baseline(suite / "base.json").cases
    assert len(case.series) == 5


def test_too_few_sessions_before_one_that_failed_make_no_baseline_unless_asked_for(suite):
    numbered(suite, fails=1)
    done = gpuperf("calibrate", "--into", "base.json", *PYTEST, cwd=suite)
    assert done.returncode == 3
    assert done.stderr.endswith(
        "base.json was not changed: a baseline needs 5 sessions. The session that was recorded is in "
        "base.json.sessions.json, and can be accepted with those that are missing: "
        "gpuperf accept base.json.sessions.json RUN ... --into base.json\n"
    )
    assert not (suite / "base.json").exists()
    accepted = gpuperf("accept", "base.json.sessions.json", "--few", "--into", "base.json", cwd=suite)
    assert accepted.returncode == 0, accepted.stderr
    (suite / "base.json").unlink()
    for file in suite.glob("session-*"):
        file.unlink()
    done = gpuperf("calibrate", "--few", "--into", "base.json", *PYTEST, cwd=suite)
    assert done.returncode == 3
    assert done.stderr.endswith("base.json has the 1 session recorded before it.\n")
    assert (suite / "base.json").exists()


def test_a_time_bounds_it(suite):
    done = gpuperf("calibrate", "--for", "0.1s", "--few", "--into", "base.json", *PYTEST, cwd=suite)
    assert done.returncode == 0, done.stderr
    assert "\n1 session in " in done.stdout


WIDE = {"test_suite.py::test_sum": Resolution(0.2, 0.084, Unsteadiness("noisy", "its sessions differ by 9.1%"))}


@pytest.mark.parametrize(
    ("options", "ended", "seconds", "said"),
    [
        ((), "steady", 60, "more would hardly help, since the last three changed what the worst case tells by"),
        ((), "most", 60, "2 sessions in 60 s, which is the most that are recorded without --until or --for."),
        (("--until", "5%"), "most", 60, "2 sessions in 60 s, which is the most that are recorded."),
        (("--for", "2m"), "time", 60, "2 sessions in 60 s: one more would end after --for 2m."),
        (("--for", "30s"), "time", 60, "which is longer than --for 30s: without --few 5 are recorded."),
        (("--for", "30s", "--few"), "time", 60, "2 sessions in 60 s: one more would end after --for 30s."),
        (("--sessions", "5"), SessionError("failed"), 60, "2 sessions in 60 s, before one failed."),
    ],
)
def test_it_says_how_far_it_came_and_why_no_further(options, ended, seconds, said):
    parsed = parse(["calibrate", "--into", "base.json", *options, *PYTEST])
    done = Calibration((a_run(0), a_run(1)), seconds, ended)
    first, heading, worst, advice = summary(plan_of(parsed), done, WIDE, parsed)
    assert said in first
    assert heading == f"1 case cannot tell {parsed.until or '3%'}, worst first:"
    assert worst == "test_suite.py::test_sum tells 8.4%: noisy: its sessions differ by 9.1%"
    assert advice.startswith("Two revisions in turns can tell less: ")
    command = shlex.split(advice.split("gpuperf ")[1].rstrip("`"))
    asked = parse(command)
    assert (asked.base, asked.pytest_arguments) == ("HEAD~1", list(PYTEST[1:]))


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_being_ended_keeps_the_sessions_that_were_recorded_and_no_folder(suite, temporary, number):
    hangs = NUMBERED.replace("assert NUMBER != FAILS", "time.sleep(300 * NUMBER)").replace("SLOW", "()")
    (suite / "test_suite.py").write_text(hangs)
    command = [sys.executable, "-m", "pytest_gpuperf", "calibrate", "--into", "made/base.json", *PYTEST]
    listens = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, cwd=suite, stderr=subprocess.PIPE, text=True, preexec_fn=listens)  # noqa: PLW1509
    while not (suite / "session-1").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said.splitlines()[-1] == (
        "gpuperf: interrupted; made/base.json was not changed. The session that was recorded is in "
        "made/base.json.sessions.json, and can be accepted: "
        "gpuperf accept made/base.json.sessions.json --few --into made/base.json."
    )
    assert not (suite / "made/base.json").exists()
    assert not list(temporary.iterdir())
    accepted = gpuperf("accept", "made/base.json.sessions.json", "--few", "--into", "made/base.json", cwd=suite)
    assert accepted.returncode == 0, accepted.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--sessions", "0", "--into", "base.json"), "--sessions: 0 measures nothing"),
        (("--sessions", "2", "--into", "base.json"), "--few to do with 2"),
        (("--sessions", "5", "--until", "3%", "--into", "base.json"), "exactly 5, --until as many as are needed"),
        (("--sessions", "5", "--for", "5m", "--into", "base.json"), "--for as many as there is time for. Leave one"),
        (("--until", "3", "--into", "base.json"), "--until: '3' has no unit. Write 3%"),
        (("--until", "2%", "--into", "base.json"), "@pytest.mark.gpuperf(margin='2%') in that test"),
        (("--for", "5 minutes", "--into", "base.json"), "'5 minutes' is not a time. Write it like 10, 10s, 5m or 1h"),
        (("--sessions", "many", "--into", "base.json"), "invalid int value: 'many'"),
        (("--into", "test_suite.py/base.json"), "test_suite.py/base.json: cannot be written"),
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
