"""Many levels, many lines and very long names, wide and narrow: nothing lies over anything else or leaves the page."""

from __future__ import annotations

import msgspec
import pytest
from page_suite import a_suite, written

LONG = "a_back_end_of_a_long_name_" * 4
RIGHT_TO_LEFT = "\u05d0\u05d1\u05d2\u05d3\u05d4\u05d5\u05d6\u05d7" * 9
PARAMETERS = {
    "levels": [{"batch": str(b)} for b in (*range(1, 17), 20, 24, 28, 32)],
    "words": [{"batch": f"dynamic_shape_profile_{n}"} for n in range(10)],
    "lines": [{"batch": b, "precision": "fp16", "backend": f"{LONG}{n}"} for n in range(20) for b in ("1", "8")],
    "bars": [
        {"model": "m" * 200, "batch": "8", "precision": RIGHT_TO_LEFT, "backend": f"<script>{LONG}{n}"}
        for n in range(10)
    ],
}

# Of every chart, texts that lie over each other, and texts beyond the chart or the window.
MISPLACED = """
() => [...document.querySelectorAll('svg')].flatMap((chart) => {
  const within = chart.getBoundingClientRect();
  const texts = [...chart.querySelectorAll('text')].map((text) => [text.textContent, text.getBoundingClientRect()]);
  const over = ([, a], [, b]) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
  return texts.flatMap((one, i) => [
    ...texts.slice(i + 1).filter((other) => over(one, other)).map((other) => `${one[0]} over ${other[0]}`),
    ...(one[1].left < within.left - 1 || one[1].right > within.right + 1 ? [`${one[0]} beyond`] : []),
  ]);
})
"""


def page_of(folder, parameters):
    """A suite of these parameters."""
    run, baseline = a_suite(len(parameters))
    known = {case.id: levels for case, levels in zip(run.cases, parameters, strict=True)}

    def renamed(case):
        name = f"tests/test_x.py::test[{'-'.join(known[case.id].values())}]"
        return msgspec.structs.replace(case, id=name, test=name, parameters=known[case.id])

    cases, accepted = tuple(map(renamed, run.cases)), tuple(map(renamed, baseline.cases))
    return written(folder, msgspec.structs.replace(run, cases=cases), msgspec.structs.replace(baseline, cases=accepted))


@pytest.mark.parametrize("shape", PARAMETERS)
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_in_a_chart_lies_over_anything_else_or_leaves_it(visit, tmp_path, shape, width):
    page = visit(page_of(tmp_path, PARAMETERS[shape]), width=width).page
    assert page.locator("#charts svg.lines").count() == 2
    assert page.evaluate(MISPLACED) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_most_levels_keep_their_label_and_the_largest_always(visit, tmp_path):
    page = visit(page_of(tmp_path, PARAMETERS["levels"])).page
    labels = page.locator("#charts svg.lines >> nth=0 >> text.tick[text-anchor=middle]").all_text_contents()
    assert {"1", "2", "4", "8", "32"} <= set(labels)
    assert len(labels) > 10


def test_no_two_lines_look_the_same(visit, tmp_path):
    page = visit(page_of(tmp_path, PARAMETERS["lines"])).page
    looks = page.locator("#charts .legend li.series:not(.plain)").evaluate_all(
        "all => all.map((key) => getComputedStyle(key).getPropertyValue('--tone')"
        " + key.querySelector('path.mark').getAttribute('d'))"
    )
    assert len(set(looks)) == len(looks) == 20


@pytest.mark.parametrize("width", [825, 1000, 1200, 1280])
def test_the_table_is_never_wider_than_the_page(visit, report, width):
    page = visit(report, width=width).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.get_by_role("columnheader", name="Throughput").count() == 1


def test_the_buttons_that_sort_begin_at_the_edge_in_every_line(visit, report):
    page = visit(report, width=390).page
    places = page.locator("#table thead button").evaluate_all(
        "all => all.map((b) => b.getBoundingClientRect()).map((r) => [r.top, r.left])"
    )
    first_of_line = {top: min(left for t, left in places if t == top) for top, _ in places}
    assert len(first_of_line) > 1
    assert set(first_of_line.values()) == {16}
