"""Story: a suite too long for one job is measured in shards, and judged as a whole."""

from __future__ import annotations

import msgspec
import pytest
from command import gpuperf
from examples import a_baseline, a_run

from pytest_gpuperf.records.files import read_run, write_baseline, write_run
from pytest_gpuperf.records.model import Scope

MANY = tuple("abcdefgh")


@pytest.fixture
def files(tmp_path):
    """A baseline of eight cases, and their two halves."""
    write_baseline(tmp_path / "base.json", a_baseline(*range(10), cases=MANY))
    shard(tmp_path, 1, *MANY[:4])
    shard(tmp_path, 2, *MANY[4:])
    return tmp_path


def shard(folder, number, *cases, **changes):
    scope = Scope(paths=("tests",), deselected=tuple(f"tests/test_x.py::test[{c}]" for c in MANY if c not in cases))
    run = a_run(20 + number, cases=cases)
    write_run(folder / f"shard-{number}.json", msgspec.structs.replace(run, **({"scope": scope} | changes)))


def merge(files, *options, **settings):
    return gpuperf("merge", "shard-1.json", "shard-2.json", "--into", "all.json", *options, cwd=files, **settings)


def test_the_shards_become_one_run(files):
    done = merge(files, bare=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "gpuperf: all.json: 8 cases of 2 shards\n"
    assert [c.id[-2] for c in read_run(files / "all.json").cases] == list(MANY)


def test_the_whole_is_judged(files):
    done = merge(files, "--compare", "base.json", "--markdown", "report.md", "--csv", "figures.csv", bare=True)
    assert done.returncode == 0
    assert "8 unchanged within 3%; 8 of 8 decided" in done.stdout
    assert "### gpuperf: passed" in (files / "report.md").read_text()
    assert len((files / "figures.csv").read_text().splitlines()) == 9


def test_what_no_shard_measured_vanished_and_what_failed_in_one_fails(files):
    shard(files, 1, *MANY[:3])  # d was deselected in both: nobody was asked for it
    assert merge(files, "--compare", "base.json").returncode == 0
    shard(files, 1, *MANY[:3], scope=Scope(paths=("tests",)))
    done = merge(files, "--compare", "base.json")
    assert done.returncode == 1
    assert "vanished: tests/test_x.py::test[d]" in done.stdout
    failed = {f"tests/test_z.py::test[{i}]": "failed in call" for i in range(6)}
    shard(files, 1, *MANY[:4], scope=Scope(paths=("tests",), unmeasured=failed))
    done = merge(files, "--compare", "base.json")
    assert done.returncode == 1
    assert "6 tests failed in their shards: tests/test_z.py::test[0] (failed in call)" in done.stdout
    assert "and 1 more" in done.stdout


def test_a_missing_shard_is_told_from_a_small_suite(files):
    done = gpuperf("merge", "shard-1.json", "--into", "all.json", "--shards", "2", cwd=files)
    assert done.returncode == 4
    assert "--shards 2, and 1 run given. The cases of a missing shard" in done.stderr
    assert not (files / "all.json").exists()
    assert merge(files, "--shards", "2").returncode == 0


def test_one_file_twice_is_not_two_shards(files):
    (files / "again.json").symlink_to("shard-1.json")
    for second in ("shard-1.json", "./shard-1.json", "again.json"):
        done = gpuperf("merge", "shard-1.json", second, "--into", "all.json", "--shards", "2", cwd=files)
        assert done.returncode == 4
        assert f"{second} was given twice. Each shard's run is given once." in done.stderr
    assert not (files / "all.json").exists()


def test_uncommitted_changes_are_remarked(files):
    for number, cases in ((1, MANY[:4]), (2, MANY[4:])):
        sessions = a_run(20 + number).sessions
        shard(files, number, *cases, sessions=tuple(msgspec.structs.replace(s, revision="a+dirty") for s in sessions))
    assert "uncommitted changes" in merge(files).stderr


def test_a_baseline_is_not_replaced(files):
    done = gpuperf("merge", "shard-1.json", "--into", "base.json", cwd=files)
    assert done.returncode == 4
