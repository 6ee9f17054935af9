"""Markdown for a pull request, JSON for programs."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import markdown
import msgspec
import pytest
from verdicts import HOSTILE, WAIVER, comparison, finding, memory, run_of, without_interval

from pytest_gpuperf.analysis.comparison import Comparison, Rules
from pytest_gpuperf.reports.formats import FORMATS, terminal_width
from pytest_gpuperf.reports.judged import Judged
from pytest_gpuperf.reports.tables import visible
from pytest_gpuperf.results.records import Verdict

A, B, C = (f"tests/test_x.py::test_{n}" for n in "abc")
SUITE = Verdict(word="regressed", ratio=1.1, low=1.05, high=1.2, reason="all <cases> are slower")


class Page(HTMLParser):
    """The texts of a page's code elements and table cells, and every tag in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.codes: list[str] = []
        self.rows: list[list[str]] = []
        self.inside: list[str] = []
        self.feed(markdown.markdown(text, extensions=["tables", "md_in_html"]))

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.inside.append(tag)
        if tag == "code":
            self.codes.append("")
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        while self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        if "code" in self.inside:
            self.codes[-1] += data
        if {"td", "th"} & set(self.inside):
            self.rows[-1][-1] += data


def judged(*findings, run=None, reference=None, **changes):
    return Judged(run or run_of(A, B), comparison(*findings, **changes), reference)


def test_what_regressed_comes_first_and_the_rest_is_folded():
    text = FORMATS["markdown"](judged(finding(A, "regressed"), memory(A, "unchanged"), finding(B)))
    assert text.startswith("### gpuperf: failed\n\n1 unchanged, 1 regressed&#59; 2 of 2 decided.")
    above, folded = text.split("<details><summary>1 other cases</summary>")
    assert "test&#95;a" in above
    assert "it is regressed by far" in above
    assert "test&#95;b" in folded
    assert "test&#95;a" not in folded


def test_nothing_is_folded_where_everything_regressed_or_nothing_was_measured():
    assert "<details>" not in FORMATS["markdown"](judged(finding(A, "regressed"), run=run_of(A)))
    assert "<details>" not in FORMATS["markdown"](judged(run=run_of(), vanished=(A,)))


def test_a_quiet_comparison_passes():
    text = FORMATS["markdown"](judged(finding(A), memory(A, "improved"), run=run_of(A, B, C), new=(B,)))
    assert text.startswith("### gpuperf: passed")
    rows = Page(text.split("</summary>\n\n")[1].split("\n\n</details>")[0]).rows
    assert rows[1:] == [
        [A, "798 /s", "-", "+0.0% [-1.0%, +1.0%]", "unchanged"],
        ["\u2003peak memory", "1.02 GiB", "", "-10.0% [-10.9%, -9.1%]", "improved"],
        [B, "798 /s", "-", "-", "new"],
        [C, "798 /s", "-", "-", "not compared"],
    ]


def test_names_are_names_and_nothing_else():
    page = Page(FORMATS["markdown"](judged(*(finding(c, "regressed") for c in HOSTILE), run=run_of(*HOSTILE))))
    assert {visible(c) for c in HOSTILE} <= set(page.codes)
    assert page.tags <= {"h3", "p", "code", "ul", "li", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    assert [len(row) for row in page.rows] == [5] * 6


def test_everything_a_reviewer_must_know():
    text = FORMATS["markdown"](
        judged(
            finding(A, "regressed", waiver=WAIVER),
            finding(B, "inconclusive", waiver=WAIVER),
            vanished=(C,),
            unmeasured={"x": "skipped: no GPU"},
            expired={"y": WAIVER},
            suite=SUITE,
            changes=("torch 2.13.0 -> 2.15.0",),
            reference=comparison(finding(A, "regressed"), finding(B), baseline="v1.json"),
        )
    )
    items = [line.removeprefix("- ") for line in text.split("\n") if line.startswith("- ")]
    plain = [" ".join(Page(line).codes) for line in items]
    assert any(item.endswith("(waived until 2031-01-31: the &#60;new&#62; kernel &#124; known)") for item in items)
    assert [c for c in plain if c] == [A, C, "x", B, "y", A]
    assert "suite regressed: all &#60;cases&#62; are slower" in items
    assert "changed: torch 2.13.0 -&#62; 2.15.0" in items
    assert "**Since the reference <code>v1.json</code>**: 1 unchanged, 1 regressed&#59; 2 of 2 decided." in text
    calm = judged(finding(A), reference=comparison(finding(A)))
    assert FORMATS["markdown"](calm).count("\n- ") == 0


def test_json_says_everything():
    shown = judged(finding(A, "regressed"), finding(B), new=(C,), reference=comparison(finding(A)))
    report = json.loads(FORMATS["json"](shown))
    assert report["exit_code"] == 1
    assert report["problems"] == ["1 of 2 compared figures regressed."]
    assert (report["measured"], report["compared"], report["decided"]) == (2, 2, 2)
    assert msgspec.convert(report["comparison"], Comparison) == shown.comparison
    assert msgspec.convert(report["reference"], Comparison) == shown.reference


def test_json_obeys_no_name():
    text = FORMATS["json"](judged(*(finding(c) for c in (*HOSTILE, "tag \U000e0041"))))
    assert all(line.isprintable() for line in text.split("\n"))
    assert [f["case"] for f in json.loads(text)["comparison"]["findings"]] == [*HOSTILE, "tag \U000e0041"]


def test_json_has_no_word_for_infinity():
    found = json.loads(FORMATS["json"](judged(without_interval(finding(A)))))["comparison"]["findings"][0]
    assert found["verdict"]["high"] is None


def test_the_table_ends_with_why_it_fails(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert terminal_width() == 100
    text = FORMATS["table"](judged(finding(A, "regressed"), finding(B)))
    assert text.endswith("\n\ngpuperf: 1 of 2 compared figures regressed.")
    assert FORMATS["table"](judged(finding(A))).endswith("1 unchanged; 1 of 1 decided")
    crept = judged(finding(A), reference=comparison(finding(A, "regressed"), baseline="v1.json"))
    assert "Since the reference v1.json" in FORMATS["table"](crept)
    assert "gpuperf: Against the reference v1.json: 1 of 1 compared" in FORMATS["table"](crept)


@pytest.mark.parametrize(
    ("own", "reference", "code"),
    [
        (comparison(finding(A)), None, 0),
        (comparison(finding(A)), comparison(finding(A)), 0),
        (comparison(finding(A)), comparison(finding(A, "regressed")), 1),
        (comparison(), comparison(finding(A, "regressed")), 1),
        (comparison(finding(A)), comparison(), 6),
        (comparison(finding(A, "inconclusive")), comparison(finding(A)), 7),
        (comparison(finding(A)), comparison(finding(A, "inconclusive"), rules=Rules(min_decided=0)), 0),
    ],
)
def test_the_graver_of_two_comparisons_decides(own, reference, code):
    assert Judged(run_of(A), own, reference).exit_code == code
