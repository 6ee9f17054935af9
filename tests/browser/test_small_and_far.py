"""A page of few cases, one of them far slower, wide and narrow: nothing is clipped, and no room is left empty."""

from __future__ import annotations

import pytest
from verdicts import a_verdict, comparison, finding, run_of

from pytest_gpuperf.comparison.judged import JudgedRun
from pytest_gpuperf.reports.html.page import Subject
from pytest_gpuperf.reports.html.rendering import write_html

CALM = [f"tests/test_x.py::test_{n}" for n in "abcdefg"]
RATIOS = (1.02, 1.6, 7.0)


def page_with(folder, ratio):
    slow = finding(
        "tests/test_x.py::test_slow", verdict=a_verdict("regressed", ratio, low=ratio / 1.1, high=ratio * 1.1)
    )
    run = run_of(*CALM, slow.case)
    judged = JudgedRun(run, comparison(*map(finding, CALM), slow))
    return write_html(folder, Subject(run=run, judged=judged))


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("width", [1280, 390])
def test_a_regressed_case_s_interval_is_drawn_whole_or_points_beyond(tmp_path, visit, width, ratio):
    page = visit(page_with(tmp_path, ratio), width=width).page
    strip = page.locator("#table tr.regressed svg.interval")
    ends = strip.locator(".span").evaluate("line => [+line.getAttribute('x1'), +line.getAttribute('x2')]")
    assert 0 <= ends[0] <= ends[1] <= 100
    assert strip.locator(".beyond").count() == (ratio > 2)
    assert (ends[1] - ends[0] > 1) == (ratio < 2), "a whisker that is drawn can be seen"
    if ratio < 2:
        assert ends[0] < strip.locator("circle").evaluate("dot => +dot.getAttribute('cx')") < ends[1]


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_overview_is_as_tall_as_its_cases(tmp_path, visit, ratio):
    page = visit(page_with(tmp_path, ratio)).page
    drawn = page.locator("svg.overview")
    marks = drawn.locator(".case").evaluate_all("marks => marks.map(m => +m.getAttribute('y'))")
    tall = float(drawn.get_attribute("viewBox").split()[3]) - 36
    assert len(marks) == len(CALM) + 1
    assert 0 <= min(marks) < 12, "the tallest column reaches the top"
    assert max(marks) < tall
    assert page.get_by_text("beyond the axis").count() == (ratio > 2)


def test_every_column_s_button_is_within_a_narrow_page(tmp_path, visit):
    page = visit(page_with(tmp_path, 1.6), width=390).page
    ends = page.locator("#table thead button").evaluate_all("all => all.map(b => b.getBoundingClientRect().right)")
    assert len(ends) > 5
    assert max(ends) <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
