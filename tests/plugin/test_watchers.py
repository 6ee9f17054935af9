"""Tracers, profilers and coverage do not see what is timed, and go on where they were afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys

WATCHED = """
    import cProfile
    import pstats
    import sys

    seen = []

    def watcher(frame, event, argument):
        if frame.f_code.co_name == "work":
            seen.append(event)
        return watcher

    def work():
        return sum(i for i in range(100))

    def measure(gpuperf, cuda_timer):
        seen.clear()
        work()
        once = len(seen)
        gpuperf(work)
        cuda_timer.time(work)
        with cuda_timer():
            work()
        assert len(seen) == once
        work()
        assert len(seen) == 2 * once
        return once

    def test_traced(gpuperf, cuda_timer):
        before = sys.gettrace()
        sys.settrace(watcher)
        try:
            assert measure(gpuperf, cuda_timer) > 1
            assert sys.gettrace() is watcher
        finally:
            sys.settrace(before)

    def test_profiled(gpuperf, cuda_timer):
        sys.setprofile(watcher)
        try:
            assert measure(gpuperf, cuda_timer) > 1
        finally:
            sys.setprofile(None)

    def test_profiled_in_c(gpuperf, cuda_timer):
        with cProfile.Profile() as profile:
            measure(gpuperf, cuda_timer)
        calls = {name: of[0] for (_, _, name), of in pstats.Stats(profile).stats.items()}
        assert calls["work"] == 2
"""


def test_tracers_and_profilers_do_not_see_what_is_timed(story):
    story.suite(WATCHED)
    story.run().assert_outcomes(passed=3)


COVERED = """
    def work():
        return sum(i for i in range(100))

    def after(x):
        y = x + 1
        return y

    def test_covered(gpuperf, cuda_timer):
        before = 1
        m = gpuperf(work)
        seconds = m.device_time.median
        with cuda_timer() as span:
            work()
        assert span.seconds
        assert cuda_timer.time(work)
        found = after(1)
        assert found == 2

    def test_next(gpuperf):
        gpuperf(work)
        assert after(2) == 3
"""


def test_coverage_goes_on_where_it_was(story):
    file = story.suite(COVERED)
    command = [sys.executable, "-m", "coverage"]
    pytest_arguments = ["-m", "pytest", "-p", "no:cacheprovider", "--gpuperf-device", "cpu", "--gpuperf-budget", "0.2"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    for words in (["run", "--branch", "--source", ".", *pytest_arguments], ["json", "-o", "covered.json"]):
        where = {"cwd": story.path, "env": environment}
        done = subprocess.run([*command, *words], **where, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((story.path / "covered.json").read_text())["files"][file.name]
    assert found["missing_lines"] == [6, 17]  # what is only run while it is timed
    assert max(found["executed_lines"]) <= len(file.read_text().splitlines())
