"""--gpuperf-budget: the cap of one measurement."""

from __future__ import annotations

import time

import pytest

from pytest_gpuperf.records.files import read_run


def test_a_call_longer_than_its_budget_is_measured_all_the_same(story):
    story.suite("""
        def test_long(gpuperf):
            m = gpuperf(spin, 300)
            assert m.ended == "cap"
            assert m.device_time.median > 0.29
    """)
    started = time.monotonic()
    story.run("--gpuperf-budget", "0.1").assert_outcomes(passed=1)
    assert time.monotonic() - started < 60  # a bound against hanging, not a figure


def test_a_marker_sets_the_budget_below_the_command_line(story):
    story.suite("""
        import random

        @pytest.mark.gpuperf(budget=0.2)
        def test_noisy(gpuperf):
            gpuperf(lambda: spin(random.choice([0.1, 0.9])))
    """)

    def timed():
        arguments = ["--gpuperf-device", "cpu", "--gpuperf-save", "run.json", *budget]
        story.pytester.runpytest_inprocess(*arguments).assert_outcomes(passed=1)
        (case,) = read_run(story.path / "run.json").cases
        (m,) = case.measurements
        return sum(m.samples) * m.span_calls

    budget = []
    marked = timed()
    budget = ["--gpuperf-budget", "2"]
    assert timed() > 1.2 * marked  # no less than the 0.3 s a measurement wants, against a cap of 0.2


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf", "100000"])
def test_a_budget_that_makes_no_sense_is_refused(story, text):
    story.suite("def test_plain(): pass")
    result = story.run(f"--gpuperf-budget={text}")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: --gpuperf-budget*"])
