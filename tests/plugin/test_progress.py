"""Story: a long suite says how far it is."""

from __future__ import annotations

from pytest_gpuperf.plugin.progress import EVERY, Progress

SUITE = """
import pytest
@pytest.mark.parametrize("i", range(3))
def test_measured(gpuperf, i):
    gpuperf(sorted, [3, 1, 2])
def test_plain():
    pass
"""


def test_a_session_says_how_many_are_left(pytester):
    pytester.makepyfile(SUITE)
    pytester.makeconftest("from pytest_gpuperf.plugin import progress\nprogress.EVERY = 0.0")
    done = pytester.runpytest_subprocess("--gpuperf-device", "cpu", "--gpuperf-budget", "0.2")
    done.assert_outcomes(passed=4)
    done.stdout.fnmatch_lines(["gpuperf: 1 of 3 done, about * s left", "gpuperf: 2 of 3 done, about * s left"])
    done.stdout.no_fnmatch_line("*3 of 3*")


def test_a_line_comes_now_and_then():
    lines: list[str] = []
    clock = [0.0]
    progress = Progress(lines.append, 100, lambda: clock[0])
    for _ in range(100):
        clock[0] += EVERY / 4
        progress.finished(EVERY / 4)
    assert len(lines) == 24  # every fourth test, but not after the last
    assert lines[0] == "gpuperf: 4 of 100 done, about 4 min left"
    assert lines[-1] == "gpuperf: 96 of 100 done, about 10 s left"
