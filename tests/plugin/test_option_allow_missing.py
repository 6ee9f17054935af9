"""--gpuperf-allow-missing: what the baseline knows and this run did not measure."""

from __future__ import annotations

import pytest

TWO = """
    def test_one(gpuperf):
        gpuperf(spin, 0.5)

    def test_two(gpuperf):
        gpuperf(spin, 0.5)
"""


def judged(story, *arguments):
    return story.run("--gpuperf-compare", "base.json", *arguments)


def test_a_deleted_test_has_vanished(story):
    story.suite(TWO)
    story.record()
    story.suite(TWO.split("def test_two", maxsplit=1)[0])
    result = judged(story)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*test_perf.py::test_two*", "gpuperf: 1 case of the baseline vanished*--prune -- --gpuperf-device cpu *`"]
    )
    assert judged(story, "--gpuperf-allow-missing").ret == 0


def test_a_deleted_file_has_vanished(story):
    story.suite(TWO)
    story.suite(TWO, "test_other.py")
    story.record()
    (story.path / "test_other.py").unlink()
    assert judged(story).ret == 1


def test_a_renamed_measurement_has_vanished(story):
    story.suite(TWO)
    story.record()
    story.suite(TWO.replace("0.5)", '0.5, name="x")', 1))
    assert judged(story).ret == 1


def test_what_filters_leave_out_has_not_vanished(story):
    story.suite(TWO)
    story.suite(TWO, "test_other.py")
    story.record()
    assert judged(story, "-k", "one").ret == 0
    assert judged(story, "test_other.py").ret == 0
    assert judged(story, "test_perf.py::test_one").ret == 0
    assert judged(story, "--ignore=test_other.py").ret == 0
    assert judged(story, "--deselect", "test_perf.py::test_two").ret == 0


def test_what_is_not_collected_has_not_vanished(story):
    story.suite(TWO)
    story.suite(TWO, "test_other.py")
    story.suite(TWO, "more/test_more.py")
    story.pytester.syspathinsert()
    story.record()
    assert judged(story, "--ignore-glob=*other*").ret == 0
    assert judged(story, "--ignore-glob=*more").ret == 0
    story.pytester.makeconftest("collect_ignore = ['test_other.py', 'more']")
    assert judged(story).ret == 0


@pytest.mark.parametrize("option", ["--lf", "--ff", "--sw"])
def test_running_only_what_failed_leaves_nothing_vanished(story, option):
    story.suite(TWO)
    story.suite(TWO, "test_other.py")
    story.record()
    story.suite(TWO.replace("gpuperf(spin", "assert 0\n        gpuperf(spin", 1), "test_other.py")
    assert story.run().ret == 1
    story.suite(TWO, "test_other.py")
    assert judged(story, option).ret == 0


def test_a_file_that_skips_itself_was_not_measured(story):
    story.suite(TWO)
    story.suite(TWO, "test_other.py")
    story.record()
    story.suite("    pytest.skip('no card today', allow_module_level=True)\n" + TWO, "test_other.py")
    result = judged(story)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*test_two*no card today*", "gpuperf: Not measured: 2 cases of the baseline*"])
    assert judged(story, "--gpuperf-allow-missing").ret == 0


def test_a_single_file_is_still_checked_for_what_it_lost(story):
    story.suite(TWO)
    story.suite(TWO, "test_other.py")
    story.record()
    story.suite(TWO.split("def test_two", maxsplit=1)[0])
    assert judged(story, "test_perf.py").ret == 1
    assert judged(story, "test_other.py").ret == 0


def test_a_skipped_test_was_not_measured(story):
    story.suite(TWO)
    story.record()
    story.suite(TWO.replace("def test_two", "@pytest.mark.skip(reason='later')\n    def test_two"))
    result = judged(story)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*test_two*later*", "gpuperf: Not measured: 1 case of *: --gpuperf-allow-missing*"])
    assert judged(story, "--gpuperf-allow-missing").ret == 0


def test_a_test_that_fails_was_not_measured(story):
    story.suite(TWO)
    story.record()
    story.suite(TWO.replace("def test_two(gpuperf):", "def test_two(gpuperf):\n        assert 0"))
    result = judged(story)
    assert result.ret == 1
    result.assert_outcomes(passed=1, failed=1)


def test_a_test_that_no_longer_measures_is_noticed(story):
    story.suite(TWO)
    story.record()
    story.suite(TWO.replace("gpuperf(spin, 0.5)", "pass", 1))
    result = judged(story, "-W", "default::pytest.PytestWarning")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*passed without measuring*"])
