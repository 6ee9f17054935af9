"""What a run remembers of the command line: what chooses and measures, and not what judges, writes or shows."""

from __future__ import annotations

import pytest

from pytest_gpuperf.plugin.fresh_sessions import _lasting
from pytest_gpuperf.records.files import read_run

SPIN = """
    def test_spin(gpuperf):
        gpuperf(spin, 0.5)
"""


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ((), ()),
        (("-q", "-vv", "-x", "-rA", "--tb=short", "--tb", "short", "--color=no", "--lf"), ()),
        (("--maxfail", "3", "--durations=5", "--no-header", "-s", "-r", "x"), ()),
        (("--junitxml", "j.xml", "--basetemp=t", "--gpuperf-html", "page", "--gpuperf-markdown=m.md"), ()),
        (("--gpuperf-strict", "--gpuperf-min-decided", "50%", "--gpuperf-confirm=off"), ()),
        (("-m", "not gpu", "-k", "spin", "-p", "no:doctest"), ("-m", "not gpu", "-k", "spin", "-p", "no:doctest")),
        (("--gpuperf-scale", "smoke", "--gpuperf-margin=5%"), ("--gpuperf-scale", "smoke", "--gpuperf-margin=5%")),
        (("-rN", "--gpuperf-markdown", "m.md", "-m", "not gpu"), ("-m", "not gpu")),
        (("-o", "xfail_strict=true", "test_perf.py"), ("-o", "xfail_strict=true")),
    ],
)
def test_what_the_next_session_needs_too(story, typed, kept):
    story.suite(SPIN)
    result = story.run("--gpuperf-save", "run.json", *typed)
    assert result.ret == 0, result.outlines
    scope = read_run(story.path / "run.json").scope
    assert scope.options == ("--gpuperf-device", "cpu", "--gpuperf-budget", "0.2", *kept)
    assert scope.root == "."


def test_an_option_whose_value_was_left_out_takes_no_other():
    assert list(_lasting(["--cov", "--gpuperf-device", "cpu", "--cov", "src", "-x"])) == ["--gpuperf-device", "cpu"]
