"""--gpuperf-margin and the marker: in which a case is unchanged."""

from __future__ import annotations

import pytest

from pytest_gpuperf.records.files import read_run

TWO = """
    def test_plain(gpuperf):
        gpuperf(spin, 0.2)

    @pytest.mark.gpuperf(margin="9%")
    def test_marked(gpuperf):
        gpuperf(spin, 0.2)
"""


@pytest.mark.parametrize(
    ("text", "says"),
    [("wide", "'wide' is not a percentage"), ("auto:wide", "'wide' is not a percentage"), ("auto:5", "has no unit")],
)
def test_a_margin_that_makes_no_sense_is_refused(story, text, says):
    story.suite(TWO)
    result = story.run("--gpuperf-margin", text)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: --gpuperf-margin*{says}*"])


@pytest.mark.parametrize(
    ("arguments", "ini", "plain", "marked"),
    [
        ((), "", (None, None), (0.09, None)),
        (("--gpuperf-margin", "auto"), "", (None, None), (0.09, None)),
        (("--gpuperf-margin", "auto:15%"), "", (None, 0.15), (0.09, 0.15)),
        (("--gpuperf-margin", "5%"), "", (0.05, None), (0.05, None)),
        ((), "[pytest]\ngpuperf_margin = 6%\n", (0.06, None), (0.09, None)),
        (("--gpuperf-margin", "5%"), "[pytest]\ngpuperf_margin = auto:15%\n", (0.05, None), (0.05, None)),
    ],
)
def test_the_command_line_goes_above_the_marker_and_the_marker_above_the_ini_file(story, arguments, ini, plain, marked):
    if ini:
        story.pytester.makeini(ini)
    story.suite(TWO)
    story.run("--gpuperf-save", "run.json", *arguments)
    rules = {case.test.rpartition("::")[2]: case.rule for case in read_run(story.path / "run.json").cases}
    assert (rules["test_plain"].margin, rules["test_plain"].margin_cap) == plain
    assert (rules["test_marked"].margin, rules["test_marked"].margin_cap) == marked
