"""What a command that people paste repeats of the one that was typed."""

from __future__ import annotations

import pytest

from pytest_gpuperf.records.invocation import Invocation
from pytest_gpuperf.records.model import Scope

TEST = "tests/test_x.py::test_a[a b/../c]"


@pytest.mark.parametrize(
    ("invocation", "tests", "tail"),
    [
        (Invocation(), (), ""),
        (Invocation(options=("--gpuperf-device", "cpu"), paths=(".",)), (), " -- --gpuperf-device cpu"),
        (Invocation(paths=("tests/perf",)), (), " -- tests/perf"),
        (Invocation(paths=("tests/perf",)), (TEST,), " -- 'tests/test_x.py::test_a[a b/../c]'"),
        (Invocation(root="..", paths=("tests/perf",)), (), " -- ../tests/perf"),
        (Invocation(root="../.."), (TEST,), " -- '../../tests/test_x.py::test_a[a b/../c]'"),
        (Invocation(options=("-k", "x or y", "tests"), narrows=False), (TEST,), " -- -k 'x or y' tests"),
    ],
)
def test_the_options_then_where_the_tests_are_from_here(invocation, tests, tail):
    assert invocation.tail(*tests) == tail


def test_shards_differ_in_their_paths_and_not_in_their_options():
    shards = tuple(Scope(options=("-m", "gpu"), paths=(path,), root="..") for path in ("a", "b"))
    assert Scope(parts=shards).invocation == Invocation(options=("-m", "gpu"), root="..")
    assert shards[0].invocation == Invocation(options=("-m", "gpu"), paths=("a",), root="..")
