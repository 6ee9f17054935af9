"""A verdict needs the whole suite: reports wait for it, and other plugins notice nothing."""

from __future__ import annotations

import pytest

THREE = """
    def test_slow(gpuperf):
        gpuperf(spin, {slow})

    def test_plain():
        pass

    def test_calm(gpuperf):
        gpuperf(spin, 0.5)
"""
OFF = ("--gpuperf-compare", "base.json", "--gpuperf-confirm", "off")


@pytest.fixture
def slowed(story):
    """A recorded suite whose first test takes twice as long."""
    story.suite(THREE.format(slow=0.5))
    story.record()
    story.suite(THREE.format(slow=1))
    return story


@pytest.mark.parametrize("option", ["-x", "--maxfail=1", "--maxfail=2"])
def test_a_regression_is_reported_whatever_stops_the_session(slowed, option):
    result = slowed.run(*OFF, option)
    result.assert_outcomes(failed=1, passed=2)
    assert result.ret == 1


def test_an_ordinary_failure_is_reported_at_once_and_stops_as_ever(story):
    story.suite(THREE.format(slow=0.5))
    story.record()
    story.suite(THREE.format(slow=0.5).replace("gpuperf(spin, 0.5)", "assert 0", 1))
    result = story.run(*OFF, "-x")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*stopping after 1 failures*"])


def test_the_debugger_does_not_stop_at_a_verdict(slowed):
    result = slowed.run(*OFF, "--pdb")
    result.assert_outcomes(failed=1, passed=2)


def test_an_expected_regression_is_xfailed(slowed):
    slowed.suite("@pytest.mark.xfail(reason='known slow')" + THREE.format(slow=1).replace("\n    ", "\n"))
    result = slowed.run(*OFF, "-rx", "-o", "xfail_strict=true")
    result.assert_outcomes(xfailed=1, passed=2)
    result.stdout.fnmatch_lines(["*test_slow*known slow*"])


def test_an_expected_regression_that_is_gone_is_an_xpass(story):
    story.suite(THREE.format(slow=0.5))
    story.record()
    marked = "@pytest.mark.xfail(reason='known slow')" + THREE.format(slow=0.5).replace("\n    ", "\n")
    story.suite(marked)
    story.run(*OFF, "-o", "xfail_strict=true").assert_outcomes(failed=1, passed=2)
    story.run(*OFF).assert_outcomes(xpassed=1, passed=2)


def test_ctrl_c_loses_no_report(slowed):
    slowed.suite(THREE.format(slow=1) + "\n    def test_stop():\n        raise KeyboardInterrupt\n")
    result = slowed.pytester.runpytest_subprocess("--gpuperf-device", "cpu", *OFF)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(failed=1, passed=2)


def test_ctrl_c_leaves_a_suspect_undecided(slowed):
    slowed.suite(THREE.format(slow=1) + "\n    def test_stop():\n        raise KeyboardInterrupt\n")
    result = slowed.pytester.runpytest_subprocess("--gpuperf-device", "cpu", "--gpuperf-compare", "base.json")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*1 inconclusive*"])


def test_rerunfailures_does_not_rerun_a_verdict(slowed):
    pytest.importorskip("pytest_rerunfailures")
    result = slowed.run(*OFF, "--reruns", "2")
    result.assert_outcomes(failed=1, passed=2)
    assert "RERUN" not in result.stdout.str()


def test_rerunfailures_still_reruns_what_is_not_compared(story):
    pytest.importorskip("pytest_rerunfailures")
    story.suite("""
        tries = []

        def test_flaky(gpuperf):
            gpuperf(spin, 0.2)
            tries.append(1)
            assert len(tries) == 2
    """)
    result = story.run("--reruns", "2", "--gpuperf-save", "run.json")
    result.stdout.fnmatch_lines(["*1 passed, 1 rerun*"])
    assert (story.path / "run.json").exists()


FLAKY = """
    tries = []

    def test_flaky(gpuperf):
        gpuperf(spin, {slow})
        tries.append(1)
        assert len(tries) == 2

    def test_calm(gpuperf):
        gpuperf(spin, 0.5)
"""


@pytest.mark.parametrize(("slow", "outcomes"), [(0.5, {"passed": 2}), (1, {"passed": 1, "failed": 1})])
def test_rerunfailures_reruns_an_error_and_its_verdict_still_counts(story, slow, outcomes):
    pytest.importorskip("pytest_rerunfailures")
    story.suite(FLAKY.format(slow=0.5).replace("assert len(tries) == 2", ""))
    story.record()
    story.suite(FLAKY.format(slow=slow))
    result = story.run(*OFF, "--reruns", "2", "-v", "--junitxml", "junit.xml")
    result.stdout.fnmatch_lines(
        ["*test_flaky RERUN*", f"*test_flaky {'FAILED' if 'failed' in outcomes else 'PASSED'}*"]
    )
    assert {k: v for k, v in result.parseoutcomes().items() if k != "warnings"} == {**outcomes, "rerun": 1}


def test_a_lasting_error_is_rerun_and_fails_at_once(story):
    pytest.importorskip("pytest_rerunfailures")
    story.suite(FLAKY.format(slow=0.5).replace("assert len(tries) == 2", ""))
    story.record()
    story.suite(FLAKY.format(slow=0.5).replace("== 2", "== 9"))
    result = story.run(*OFF, "--reruns", "2", "-x")
    result.stdout.fnmatch_lines(["*assert 3 == 9*", "*1 failed, 2 rerun*"])


def test_a_test_with_two_regressions_fails_once_and_shows_both(story):
    text = """
        def test_spin(gpuperf):
            gpuperf(spin, {0}, name="a")
            gpuperf(spin, {0}, name="b")
    """
    story.suite(text.format(0.5))
    story.record()
    story.suite(text.format(1))
    result = story.run(*OFF)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_spin#a*", "*test_spin#b*"])
