"""Story: promoting runs into a baseline, which nothing else changes."""

from __future__ import annotations

import msgspec
import pytest
from command import gpuperf
from examples import a_baseline, a_run

from pytest_gpuperf.records.files import read_baseline, write_baseline, write_run
from pytest_gpuperf.records.model import Scope


@pytest.fixture
def folder(tmp_path):
    write_run(tmp_path / "five.json", a_run(20, 21, 22, 23, 24, cases=("a", "b")))
    return tmp_path


def sessions(path):
    return {c.id[-2]: [s.session for s in c.series] for c in read_baseline(path).cases}


def test_a_new_baseline_from_five_sessions(folder):
    done = gpuperf("accept", "five.json", "--into", "base.json", cwd=folder, bare=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 -> 5  new" in done.stdout
    assert done.stdout.endswith("base.json: 2 new\n")
    assert [len(s) for s in sessions(folder / "base.json").values()] == [5, 5]


def test_several_runs_of_one_session_each(folder):
    names = [f"run{n}.json" for n in range(5)]
    for n, name in enumerate(names):
        write_run(folder / name, a_run(n))
    assert gpuperf("accept", *names, "--into", "base.json", cwd=folder).returncode == 0
    assert sessions(folder / "base.json") == {"a": ["s0", "s1", "s2", "s3", "s4"]}


def test_fewer_need_a_word(folder):
    write_run(folder / "one.json", a_run(20))
    refused = gpuperf("accept", "one.json", "--into", "base.json", cwd=folder)
    assert refused.returncode == 4
    assert "--few" in refused.stderr
    assert not (folder / "base.json").exists()
    assert gpuperf("accept", "one.json", "--into", "base.json", "--few", cwd=folder).returncode == 0


def test_unchanged_sessions_are_added_and_changed_ones_replace(folder):
    write_baseline(folder / "base.json", a_baseline(*range(20)))
    assert "added" in gpuperf("accept", "five.json", "--into", "base.json", cwd=folder).stdout
    assert sessions(folder / "base.json")["a"] == [f"s{n}" for n in range(5, 25)]
    write_run(folder / "slow.json", a_run(25, 26, 27, 28, 29, cases=("a", "b"), level=0.02))
    done = gpuperf("accept", "slow.json", "--into", "base.json", cwd=folder)
    assert "10.0 ms" in done.stdout
    assert "20.0 ms" in done.stdout
    assert "20 -> 5  replaced" in done.stdout


def test_why_nothing_was_added_is_said(folder):
    write_baseline(folder / "base.json", a_baseline(*range(10)))
    gpuperf("accept", "five.json", "--into", "base.json", cwd=folder)
    again = gpuperf("accept", "five.json", "--into", "base.json", cwd=folder).stdout
    assert "2 cases: nothing was added, since the sessions are in the baseline already\n" in again
    sessions = a_run(30, cases=("a",))
    (case,) = sessions.cases
    (m,) = case.measurements
    wide = msgspec.structs.replace(m, ended="cap", interval=0.9)
    cases = (msgspec.structs.replace(case, measurements=(wide,)),)
    write_run(folder / "open.json", msgspec.structs.replace(sessions, cases=cases))
    done = gpuperf("accept", "open.json", "--into", "base.json", cwd=folder).stdout
    assert "test[a]: nothing was added, since the verdict is open, and 1" in done


def test_vanished_cases_go_only_when_told(folder):
    write_baseline(folder / "base.json", a_baseline(*range(10), cases=("a", "b", "gone")))
    five = a_run(20, 21, 22, 23, 24, cases=("a", "b"))
    write_run(folder / "all.json", msgspec.structs.replace(five, scope=Scope(paths=(".",))))
    assert "1 kept" in gpuperf("accept", "all.json", "--into", "base.json", cwd=folder).stdout
    done = gpuperf("accept", "all.json", "--into", "base.json", "--prune", cwd=folder)
    assert "1 pruned" in done.stdout
    assert sorted(sessions(folder / "base.json")) == ["a", "b"]
