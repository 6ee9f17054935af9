"""--gpuperf-html: a page to look at, whatever the session's outcome."""

from __future__ import annotations

import re
import sys

ONE = """
    def test_spin(gpuperf):
        gpuperf(spin, 0.5)

    @pytest.mark.skip("not today")
    def test_other(gpuperf):
        gpuperf(spin, 0.5)
"""


def title(folder):
    return re.search("<title>(.*)</title>", (folder / "index.html").read_text())[1]


def test_a_run_that_nobody_judges_has_a_page(story):
    story.suite(ONE)
    result = story.run("--gpuperf-html", "out/page")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["gpuperf: report in *out/page/index.html"])
    assert title(story.path / "out/page").startswith("Measured: 1 case measured; no baseline")
    assert "skipped: not today" in (story.path / "out/page/index.html").read_text()


def test_a_regression_stands_on_its_page(story):
    story.suite(ONE)
    story.record()
    story.baseline(faster=2)
    result = story.run("--gpuperf-compare", "base.json", "--gpuperf-confirm", "in-test", "--gpuperf-html", "page")
    assert result.ret == 1
    assert title(story.path / "page").startswith("Failed: The one compared case regressed")
    text = (story.path / "page/index.html").read_text()
    assert '"baseline":true' in text
    again = "--gpuperf-device cpu --gpuperf-budget 0.2 test_perf.py::test_spin"
    assert f"gpuperf calibrate --sessions 5 --into base.json -- {again}" in text


def test_nothing_is_written_where_nothing_is_measured(story):
    story.suite(ONE)
    assert story.run("--gpuperf-html", "page", "--gpuperf-disable").ret == 0
    assert not (story.path / "page").exists()


def test_a_folder_that_cannot_be_written_is_refused_before_measuring(story):
    story.suite(ONE)
    (story.path / "page").write_text("")
    result = story.run("--gpuperf-html", "page")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *page*index.html: cannot be written*"])


def test_without_jinja2_it_says_what_to_install(story, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    story.suite(ONE)
    result = story.run("--gpuperf-html", "page")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: The HTML report cannot be written: *pip install 'pytest-gpuperf[[]report[]]'"])
