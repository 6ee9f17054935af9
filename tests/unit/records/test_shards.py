"""The shards of one suite as one run."""

from __future__ import annotations

import re

import msgspec
import pytest
from examples import DEVICE, ENVIRONMENT, a_run

from pytest_gpuperf.comparison.match import covers
from pytest_gpuperf.errors import DeviceError, FileError, UsageError
from pytest_gpuperf.records.codec import decode_run
from pytest_gpuperf.records.files import read_run
from pytest_gpuperf.records.merge import dirty, joined
from pytest_gpuperf.records.model import Beside, Confirmation, Environment, LaunchFigures, Scope
from pytest_gpuperf.records.render import render_run

T4, L4 = (
    Environment(device=msgspec.structs.replace(DEVICE, name=name), software=ENVIRONMENT.software) for name in "TL"
)


def shard(number, *cases, scope=None, revision="abc123", **changes):
    """A shard is measured in a session of its own."""
    run = a_run(number, cases=cases)
    sessions = tuple(msgspec.structs.replace(s, revision=revision) for s in run.sessions)
    return msgspec.structs.replace(run, sessions=sessions, scope=scope or Scope(), **changes)


def test_the_whole_has_every_case_and_session():
    whole = joined({"1.json": shard(1, "a", "b"), "2.json": shard(2, "c")})
    assert [c.id[-2] for c in whole.cases] == ["a", "b", "c"]
    assert [s.id for s in whole.sessions] == ["s1", "s2"]
    assert not dirty(whole)
    assert dirty(joined({"1.json": shard(1, "a", revision="abc+dirty")}))


def test_what_the_shards_learned_of_their_suspects_is_the_wholes():
    a, b, c = (f"tests/test_x.py::test[{name}]" for name in "abc")
    figures = (LaunchFigures(before=0.01, ratio=1.1),)
    took = Confirmation(tests=1, seconds=2.0, launches=5, sessions=2, remarks=("one",))
    one = Beside(revision="abc", launches={a: figures}, unconfirmed={"time": {b: "no time"}}, same_code=(b,))
    two = Beside(revision="abc", launches={c: figures}, unconfirmed={"energy": {c: "none"}, "time": {c: "none"}})
    first = shard(1, "a", "b", confirmation=took, beside=(one,))
    second = shard(2, "c", confirmation=took, beside=(two, Beside(not_in_turns={c: "no git"})))
    whole = joined({"1.json": first, "2.json": second, "3.json": shard(3, "d")})
    assert whole.confirmation == Confirmation(tests=2, seconds=4.0, launches=10, sessions=4, remarks=("one",))
    assert whole.beside == (
        Beside(
            revision="abc",
            same_code=(b,),
            launches={a: figures, c: figures},
            unconfirmed={"time": {b: "no time", c: "none"}, "energy": {c: "none"}},
        ),
        Beside(not_in_turns={c: "no git"}),
    )
    again = decode_run(render_run(whole))
    assert (again.confirmation, again.beside) == (whole.confirmation, whole.beside)
    assert joined({"1.json": shard(1, "a"), "2.json": shard(2, "b")}).confirmation is None


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ((Beside(same_code=("gone",)),), 'beside[0]: the case "gone" is not in cases'),
        ((Beside(unconfirmed={"time": {"gone": "-"}}),), 'beside[0]: the case "gone" is not in cases'),
        ((Beside(revision="a"), Beside(revision="a")), 'beside[1].revision: the revision "a" stands twice'),
    ],
)
def test_what_was_learned_of_no_case_or_twice_is_a_flaw(tmp_path, beside, said):
    file = tmp_path / "run.json"
    file.write_bytes(render_run(shard(1, "a", confirmation=Confirmation(tests=1, seconds=1.0), beside=beside)))
    with pytest.raises(FileError, match=re.escape(said)):
        read_run(file)


def test_what_was_learned_without_how_is_a_flaw(tmp_path):
    file = tmp_path / "run.json"
    took = Confirmation(tests=1, seconds=1.0)
    content = render_run(shard(1, "a", confirmation=took, beside=(Beside(),)))
    file.write_bytes(content.replace(b'  "confirmation": {"tests": 1, "seconds": 1.0},\n', b""))
    with pytest.raises(FileError, match="confirmation: it is missing, and what stands in beside"):
        read_run(file)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        (
            {"environment": L4},
            DeviceError,
            "1.json and 2.json were measured on two kinds of device: name Tesla T4, here L",
        ),
        (
            {"environment": msgspec.structs.replace(ENVIRONMENT, software={"torch": "2.14.0", "driver": "595.71"})},
            UsageError,
            "other versions: torch 2.15.0 -> 2.14.0",
        ),
        ({"revision": "def456"}, UsageError, "1.json measured the revision abc123, 2.json def456"),
        ({"revision": None}, UsageError, "the revision abc123, 2.json none"),
    ],
)
def test_what_is_no_shard_of_the_same_suite_is_refused(changes, error, said):
    with pytest.raises(error, match=said):
        joined({"1.json": shard(1, "a"), "2.json": shard(2, "b", **changes)})


def test_a_case_in_two_shards_is_refused():
    many = [str(i) for i in range(7)]
    with pytest.raises(UsageError, match=r"1 case is in two shards: .*\[b\] \(1.json and 2.json\).*gpuperf accept"):
        joined({"1.json": shard(1, "a", "b"), "2.json": shard(2, "b")})
    with pytest.raises(UsageError, match=r"7 cases are in two shards: .* and 2 more"):
        joined({"1.json": shard(1, *many), "2.json": shard(2, *many)})


def test_a_file_given_twice_is_refused():
    with pytest.raises(UsageError, match=r"1\.json and 2\.json hold the same session s1: a file was given twice"):
        joined({"1.json": shard(1, "a"), "2.json": shard(1, "b")})


def test_a_test_is_in_scope_where_any_shard_covers_it():
    tests = Scope(paths=("tests",), ignored=("tests/slow",), deselected=("tests/a.py::test_2",))
    slow = Scope(paths=("tests/slow/b",))
    whole = joined({"1.json": shard(1, "a", scope=tests), "2.json": shard(2, "b", scope=slow)}).scope
    assert covers(whole, "tests/a.py::test_1")
    assert not covers(whole, "tests/a.py::test_2")
    assert covers(whole, "tests/slow/b/x.py::test")
    assert not covers(whole, "tests/slow/a/x.py::test")  # nobody was asked for it, so it has not vanished
    split = [Scope(paths=("tests",), deselected=(f"tests/a.py::test_{i}",)) for i in (1, 2)]
    whole = joined({f"{i}.json": shard(i, str(i), scope=scope) for i, scope in enumerate(split)}).scope
    assert covers(whole, "tests/a.py::test_1")
    assert covers(whole, "tests/a.py::test_2")


def test_merged_runs_are_merged_again():
    first = joined({"1.json": shard(1, "a", scope=Scope(paths=("a",))), "2.json": shard(2, "b")})
    whole = joined({"12.json": first, "3.json": shard(3, "c", scope=Scope(paths=("c",)))})
    assert len(whole.cases) == len(whole.scope.parts) == 3
    assert covers(whole.scope, "a/test_x.py::test")


def test_what_one_shard_skips_another_may_measure():
    measured = "tests/test_x.py::test[a]"
    skips = Scope(unmeasured={measured: "skipped: no GPU", "tests/test_y.py::test": "failed in call"})
    whole = joined({"1.json": shard(1, "b", scope=skips), "2.json": shard(2, "a")})
    assert whole.scope.unmeasured == {"tests/test_y.py::test": "failed in call"}
