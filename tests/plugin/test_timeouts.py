"""A test that pytest-timeout ends says what it was doing: measuring takes longer than the call it measures."""

from __future__ import annotations

import pytest

pytest.importorskip("pytest_timeout")

LONG = """
    from random import random
    from time import sleep
    calls = []

    def slow(call):
        calls.append(1)
        sleep(9 if len(calls) == call else 0.001)

    @pytest.mark.timeout(1, method="signal")
    def test_long(gpuperf):
        {before}
        gpuperf({work})
"""


@pytest.mark.parametrize(
    ("work", "phase"),
    [
        ("slow, 1", "calling it for the first time"),
        ("slow, 2", "warming up"),
        ("lambda: sleep(random() / 30)", "measuring"),  # never steady
    ],
)
def test_the_phase_is_named(story, work, phase):
    story.suite(LONG.format(work=work, before=""))
    result = story.run("--gpuperf-budget", "30")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *Timeout (>1.0s) from pytest-timeout*", f"E *gpuperf was {phase}: warm-up and *"])


def test_a_timeout_elsewhere_is_not_ours(story):
    story.suite(LONG.format(work="sleep, 0", before="sleep(9)"))
    result = story.run()
    result.assert_outcomes(failed=1)
    assert "gpuperf was" not in result.stdout.str()


def test_another_failure_is_left_as_it_is(story):
    story.suite(LONG.format(work="pytest.fail, 'Wrong'", before=""))
    result = story.run()
    result.assert_outcomes(failed=1)
    assert "gpuperf was" not in result.stdout.str()
