"""--gpuperf-strict and --gpuperf-min-decided: what cannot be decided."""

from __future__ import annotations

import pytest

NOISY = """
    from random import Random

    draw = Random(0)

    def test_noisy(gpuperf):
        gpuperf(lambda: spin(draw.choice((0.5, 1.5))))
"""
CALM = """
    def test_calm(gpuperf):
        gpuperf(spin, 0.5)
"""
SHORT = ("--gpuperf-budget", "0.3", "--gpuperf-confirm", "off")


@pytest.fixture
def undecided(story):
    """A case that ends at its cap with its median hardly known, its lowest times as they were; and a calm one."""
    story.suite(NOISY + CALM)
    story.record(*SHORT)
    return story


def test_a_capped_measurement_is_inconclusive_and_too_few_decided_is_exit_7(undecided):
    result = undecided.run("--gpuperf-compare", "base.json", *SHORT, "-k", "noisy")
    assert result.ret == 7
    result.stdout.fnmatch_lines(["*1 inconclusive*", "gpuperf: 0 of 1 compared cases got a verdict*"])


def test_the_share_can_be_chosen(undecided):
    result = undecided.run("--gpuperf-compare", "base.json", *SHORT, "-k", "noisy", "--gpuperf-min-decided", "0%")
    assert result.ret == 0


def test_strict_fails_the_test_itself(undecided):
    result = undecided.run("--gpuperf-compare", "base.json", *SHORT, "-k", "noisy", "--gpuperf-strict")
    result.assert_outcomes(failed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAILED test_perf.py::test_noisy - inconclusive: throughput"])


@pytest.mark.parametrize("share", ["most", "80", "101%", "-1%"])
def test_a_share_that_makes_no_sense_is_refused(story, share):
    story.suite(CALM)
    result = story.run(f"--gpuperf-min-decided={share}")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: --gpuperf-min-decided*"])
