"""Fresh pytest processes: they record, and what goes wrong in them is told with their last lines."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_gpuperf.device.numa import Placement
from pytest_gpuperf.errors import SessionError, UsageError
from pytest_gpuperf.sessions.order import VARIABLE, Order, take_order
from pytest_gpuperf.sessions.process import run_session
from pytest_gpuperf.sessions.provenance import revision

CPU = ("--gpuperf-device", "cpu", "--gpuperf-budget", "0.5", "-p", "no:cacheprovider")
SUITE = """
import os

def test_one(gpuperf):
    assert "GPUPERF_SESSION" not in os.environ
    gpuperf(sum, range(1000))

def test_two(gpuperf):
    gpuperf(sum, range(2000))
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "test_suite.py").write_text(SUITE)
    return tmp_path


def test_a_session_records_what_it_ran(folder):
    run = run_session(CPU, directory=folder)
    assert [c.test for c in run.cases] == ["test_suite.py::test_one", "test_suite.py::test_two"]


def test_a_session_runs_where_it_is_placed(folder):
    cpu = max(os.sched_getaffinity(0))
    place = Placement("local", frozenset({cpu}), frozenset({0}), has_policy=False)
    body = f"    assert os.sched_getaffinity(0) == {{{cpu}}}\n    gpuperf(sum, [1])\n"
    (folder / "test_suite.py").write_text(f"import os\ndef test_placed(gpuperf):\n{body}")
    assert len(run_session(CPU, directory=folder, place=place).cases) == 1


def test_only_some_tests_can_be_ordered(folder):
    run = run_session(CPU, only=["test_suite.py::test_two"], directory=folder)
    assert [c.test for c in run.cases] == ["test_suite.py::test_two"]


def test_a_slow_down_is_real_work(folder):
    plain, slowed = (run_session(CPU, slowdown=share, directory=folder) for share in (0.0, 1.0))
    ratios = [
        b.measurements[0].device_time.median / a.measurements[0].device_time.median
        for a, b in zip(plain.cases, slowed.cases, strict=True)
    ]
    assert all(1.3 < ratio < 3 for ratio in ratios), ratios


TIMES_ITSELF = """
class Blind:
    def __call__(self):
        sum(range(20_000))

    def gpuperf_clock(self, host):
        raise AssertionError("it would not see what comes after the call")

    gpuperf_figures = gpuperf_clock

def test_one(gpuperf):
    gpuperf(Blind())
"""


def test_a_call_that_times_itself_is_slowed_as_a_whole(folder):
    (folder / "test_suite.py").write_text(TIMES_ITSELF)
    (case,) = run_session(CPU, slowdown=1.0, directory=folder).cases
    assert case.measurements[0].clock == "host"


def test_a_failing_session_is_an_error_with_its_last_lines(folder):
    (folder / "test_suite.py").write_text("def test_broken(gpuperf):\n    assert 'this' == 'that'\n")
    with pytest.raises(SessionError, match=r"(?s)ended with exit code 1.*'this' == 'that'"):
        run_session(CPU, directory=folder)


def test_a_session_without_our_fixture_is_an_error(folder):
    (folder / "test_suite.py").write_text("def test_plain():\n    pass\n")
    with pytest.raises(SessionError, match="recorded nothing: no test that uses the fixture"):
        run_session(CPU, directory=folder)


def test_a_session_that_hangs_is_stopped_with_its_children(folder):
    (folder / "test_suite.py").write_text(
        "import subprocess, pathlib, time\n"
        "def test_hangs(gpuperf):\n"
        "    child = subprocess.Popen(['sleep', '300'])\n"
        "    pathlib.Path('child').write_text(str(child.pid))\n"
        "    time.sleep(300)\n"
    )
    with pytest.raises(SessionError, match="took longer than 6 s and was stopped"):
        run_session(CPU, directory=folder, timeout=6)
    child = int((folder / "child").read_text())
    for _ in range(50):
        if not _alive(child):
            break
        time.sleep(0.1)
    assert not _alive(child)


def test_what_a_test_left_running_ends_with_its_session(folder):
    (folder / "test_suite.py").write_text(
        "import subprocess, pathlib\n"
        "def test_leaves(gpuperf):\n"
        "    gpuperf(sum, range(1000))\n"
        "    child = subprocess.Popen(['sleep', '300'])\n"
        "    pathlib.Path('child').write_text(str(child.pid))\n"
        "    child.returncode = 0  # it is not missed\n"
    )
    run_session(CPU, directory=folder)
    child = int((folder / "child").read_text())
    for _ in range(50):
        if not _alive(child):
            break
        time.sleep(0.1)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_an_order_is_taken_once(monkeypatch):
    order = Order(save="x.json", only=("a::b",), slowdown=0.05)
    monkeypatch.setenv(VARIABLE, order.environment()[VARIABLE])
    assert take_order() == order
    assert VARIABLE not in os.environ
    assert take_order() is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "garbage",
        "\udce4",
        '{"order":{"save":"x"},"by":1e99}',
        '{"order":{"save":"x"},"by":999999999}',
    ],
)
def test_an_order_that_nobody_gave_is_refused(monkeypatch, text):
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(UsageError, match=f"It would switch the gate off. Remove it: unset {VARIABLE}"):
        take_order()


def test_an_order_reaches_what_a_wrapper_starts(tmp_path):
    asked = "from pytest_gpuperf.sessions.order import take_order; print(take_order().save)"
    wrapper = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {asked!r}], check=True)"
    environment = Order(save="run.json").environment()
    done = subprocess.run([sys.executable, "-c", wrapper], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == "run.json\n"


def test_a_revision_is_the_commit_and_whether_it_was_changed(tmp_path):
    assert revision(tmp_path) is None

    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=n", "-c", "user.email=e@x", *arguments],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    git("init")
    assert revision(tmp_path) is None
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    commit = revision(tmp_path)
    assert commit is not None
    assert len(commit) == 40
    (tmp_path / "untracked").touch()
    assert revision(tmp_path) == commit
    (tmp_path / "file").write_text("two")
    assert revision(tmp_path) == commit + "+dirty"


def test_without_git_there_is_no_revision(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision(tmp_path) is None
