"""--gpuperf-reference: ten accepted losses of 1 % are still 10 %."""

from __future__ import annotations

import shutil

ONE = """
    def test_spin(gpuperf):
        gpuperf(spin, {})
"""


def test_what_accepted_losses_add_up_to_fails(story):
    story.suite(ONE.format(0.5))
    story.record()
    shutil.copy(story.path / "base.json", story.path / "pinned.json")
    story.suite(ONE.format(1))
    story.record()  # the loss was accepted
    assert story.run("--gpuperf-compare", "base.json").ret == 0
    result = story.run("--gpuperf-compare", "base.json", "--gpuperf-reference", "pinned.json")
    result.assert_outcomes(failed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*pinned.json*", "gpuperf: Against the reference pinned.json: 1 of 1*"])


def test_a_reference_that_knows_none_of_the_cases_compared_nothing(story):
    story.suite(ONE.format(0.5))
    story.record()
    shutil.copy(story.path / "base.json", story.path / "pinned.json")
    story.suite(ONE.format(0.5).replace("test_spin", "test_other"))
    story.record()
    assert story.run("--gpuperf-compare", "base.json", "--gpuperf-reference", "pinned.json").ret == 6


def test_a_reference_alone_is_refused(story):
    story.suite(ONE.format(0.5))
    result = story.run("--gpuperf-reference", "pinned.json")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: --gpuperf-reference goes with --gpuperf-compare*"])
