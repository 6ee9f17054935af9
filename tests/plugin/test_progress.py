"""Story: a long suite says how far it is, a line now and then in a log, and a remark on a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from itertools import pairwise

import pytest

from pytest_gpuperf.plugin import progress
from pytest_gpuperf.plugin.progress import AT_MOST, EVERY, Progress

SUITE = """
import pytest
from spinning import spin
@pytest.mark.parametrize("i", range(3))
def test_measured(gpuperf, i):
    print("printed by the test")
    gpuperf(spin, 20)
def test_plain():
    pass
"""
OFTEN = "from pytest_gpuperf.plugin import progress\nprogress.EVERY = progress.DRAW = 0.0\nprogress.LONGER = 1\n"
CLEARED = re.compile(r" \d/3[^\x1b]*\x1b\[\d+D\x1b\[K")


class Log:
    """A screen that keeps lines, where nobody watches."""

    live = False

    def __init__(self):
        self.lines = []

    def line(self, text):
        self.lines.append(text)


def test_a_log_gets_plain_lines(story):
    story.suite(SUITE)
    story.pytester.makeconftest(OFTEN)
    done = story.pytester.runpytest_subprocess("--gpuperf-device", "cpu", "--gpuperf-budget", "0.3")
    done.assert_outcomes(passed=4)
    done.stdout.fnmatch_lines(
        [
            "gpuperf: 0 of 3 done; test_perf.py::test_measured[[]0[]] +-*%",
            "gpuperf: 1 of 3 done, about * s left",
            "gpuperf: 1 of 3 done, about * s left; test_perf.py::test_measured[[]1[]] +-*%",
            "gpuperf: 2 of 3 done, about * s left",
        ]
    )
    text = done.stdout.str()
    assert "3 of 3" not in text
    assert "\x1b" not in text
    assert "printed by the test" not in text  # pytest's capturing goes on


def test_quiet_means_quiet(story, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    story.suite(SUITE)
    assert "left" not in story.run("-qq").stdout.str()


def on_a_terminal(folder, *options, **environment):
    """What a terminal of 80 columns gets."""
    ours, theirs = pty.openpty()
    known = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "CI": ""} | environment
    command = [sys.executable, "-m", "pytest", "--gpuperf-device", "cpu", "--gpuperf-budget", "0.3", *options]
    process = subprocess.Popen(command, cwd=folder, env=known, stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end was closed
            break
        if not part:
            break
        said += part
    os.close(ours)
    assert process.wait() == 0
    return said.decode()


def test_a_terminal_shows_what_is_being_measured_and_takes_it_back(story):
    story.suite(SUITE)
    story.pytester.makeconftest(OFTEN)
    text = on_a_terminal(story.path, "--color=no")
    remarks = CLEARED.findall(text)
    assert any(re.match(r" 1/3: test_perf.py::test_measured\[0\] \+-\d+\.\d%", remark) for remark in remarks)
    assert any(re.match(r" 3/3, about \d+ s left: test_perf.py::test_measured\[2\]", remark) for remark in remarks)
    left = CLEARED.sub("", text)
    assert "\x1b[K" not in left
    assert re.search(r"test_perf\.py \.\.\.\. +\[100%\]", left)
    assert "gpuperf: 1 of 3" not in left
    assert "printed by the test" not in text


def test_a_name_too_long_for_the_line_is_cut_and_its_figure_is_not(story):
    story.suite(SUITE.replace("test_measured", "test_measured_" + 90 * "x"))
    story.pytester.makeconftest(OFTEN)
    remarks = [r for r in CLEARED.findall(on_a_terminal(story.path, "--color=no")) if r.strip()]
    assert remarks
    for remark in remarks:
        assert re.match(r" \d/3(, about \d+ s left)?: test_perf\.py::test_measured_x*\.\.\. \+-\d+\.\d%", remark)


@pytest.mark.parametrize(
    ("options", "environment"), [((), {"TERM": "dumb"}), ((), {"CI": "true"}), (("-s",), {})], ids=["dumb", "ci", "-s"]
)
def test_a_terminal_that_only_keeps_gets_lines(story, options, environment):
    story.suite(SUITE.replace("range(3)", "range(2)"))
    story.pytester.makeconftest(OFTEN)
    text = on_a_terminal(story.path, "--color=no", *options, **environment)
    assert "\x1b[K" not in text
    assert "gpuperf: 1 of 2 done" in text


def test_where_there_is_no_room_nothing_is_shown(story):
    story.suite(SUITE.replace("range(3)", "range(2)"), name="test_with_a_name_that_is_long.py")
    story.pytester.makeconftest(OFTEN)
    assert "\x1b[K" not in on_a_terminal(story.path, "--color=no", COLUMNS="45")


def test_the_pauses_become_longer():
    log, clock = Log(), [0.0]
    told = Progress(log, 1000, lambda: clock[0])
    said = []
    for number in range(1000):
        told.begins(f"test[{number}]")
        clock[0] += EVERY / 4
        told.finished()
        if len(log.lines) > len(said):
            said.append(clock[0])
    pauses = [b - a for a, b in pairwise(said)]
    assert said[0] == EVERY
    assert pauses[0] == EVERY * 1.5
    assert pauses[-1] == AT_MOST
    assert log.lines[0] == "gpuperf: 4 of 1000 done, about 42 min left"
    assert len(log.lines) < 30
