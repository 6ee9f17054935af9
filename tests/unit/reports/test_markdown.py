"""Markdown for a pull request's comment and a job's summary."""

from __future__ import annotations

from html.parser import HTMLParser

import markdown
import msgspec
import pytest
from examples import a_measurement
from verdicts import HOSTILE, WAIVER, a_verdict, comparison, finding, in_turns, memory, run_of, without_interval

from pytest_gpuperf.causes.explain import Cause, Explanation
from pytest_gpuperf.comparison.judged import JudgedRun
from pytest_gpuperf.records.model import Case, Confirmation, Device, Evidence, Verdict
from pytest_gpuperf.reports.markdown import GITHUB, LARGEST, code, escaped, marker, render_markdown, render_recorded
from pytest_gpuperf.reports.tables import visible

A, B, C, D, E = (f"tests/test_x.py::test_{n}" for n in "abcde")
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
    return JudgedRun(run or run_of(A, B), comparison(*findings, **changes), reference)


def titles(text):
    """The parts of a report, in order."""
    starts = ("**", "<details><summary>", "- suite", "- vanished", "- not measured")
    return [line for line in text.split("\n") if line.startswith(starts)]


def test_a_comment_is_found_again_by_its_first_line():
    text = render_markdown(judged(finding(A, "regressed")))
    assert text.startswith("<!-- gpuperf: tesla-t4 -->\n\n### gpuperf: failed\n\n1 regressed&#59; 1 of 1 decided.")
    hostile = Device(kind="cpu", name="--><script>", cores=2)
    assert marker(hostile) == "<!-- gpuperf: cpu-script-2-cores -->"


def test_what_regressed_comes_first_and_the_rest_is_folded():
    text = render_markdown(judged(finding(A, "regressed"), memory(A, "unchanged"), finding(B)))
    above, folded = text.split("<details><summary>1 unchanged</summary>")
    assert "test&#95;a" in above
    assert "it is regressed by far" in above
    assert "test&#95;b" in folded
    assert "test&#95;a" not in folded


def test_the_order_is_what_a_reviewer_needs_first():
    text = render_markdown(
        judged(
            finding(A, "regressed"),
            finding(B, "improved"),
            finding(C, "inconclusive"),
            finding(D),
            finding(E, "regressed", waiver=WAIVER),
            run=run_of(A, B, C, D, E, "new", "other"),
            suite=SUITE,
            vanished=("gone",),
            unmeasured={"skipped": "no GPU"},
            new=("new",),
        )
    )
    assert titles(text) == [
        "**1 regressed**",
        "- suite regressed, +10.0% &#91;+5.0%, +20.0%&#93;: all &#60;cases&#62; are slower",
        "- vanished: <code>gone</code>",
        "- not measured: <code>skipped</code> (no GPU)",
        "**1 inconclusive**",
        "**1 waived**",
        "**1 improved**",
        "<details><summary>1 unchanged</summary>",
        "<details><summary>1 new</summary>",
        "<details><summary>1 not compared</summary>",
    ]


def test_nothing_is_folded_where_everything_regressed_or_nothing_was_measured():
    assert "<details>" not in render_markdown(judged(finding(A, "regressed"), run=run_of(A)))
    assert "<details>" not in render_markdown(judged(run=run_of(), vanished=(A,)))


def test_a_quiet_comparison_passes():
    text = render_markdown(judged(finding(A), finding(B), memory(B, "improved"), run=run_of(A, B, C), new=(C,)))
    assert "### gpuperf: passed" in text
    assert Page(text.split("**1 improved**\n\n")[1].split("\n\n")[0]).rows[1:] == [
        [B, "10.00 ms", "10.00 ms", "+0.0% [-1.0%, +1.0%]", "unchanged"],
        ["\u2003peak memory", "953.7 MiB", "858.3 MiB", "-10.0% [-10.9%, -9.1%]", "improved"],
    ]
    folded = text.split("</summary>\n\n")[1:]
    unchanged, new = (Page(part.split("\n\n</details>")[0]).rows[1:] for part in folded)
    assert unchanged == [[A, "10.00 ms", "10.00 ms", "+0.0% [-1.0%, +1.0%]", "unchanged"]]
    assert new == [[C, "-", "10.02 ms", "-", "new"]]


def test_before_now_change_and_within_what():
    known = a_verdict("unchanged", 1.004, margin=0.048)
    text = render_markdown(judged(finding(A, verdict=known), run=run_of(A)))
    assert Page(text.split("</summary>\n\n")[1].split("\n\n</details>")[0]).rows == [
        ["case", "before", "now", "change", "verdict"],
        [A, "10.00 ms", "10.04 ms", "+0.4% [-0.6%, +1.4%]", "unchanged within 4.8%"],
    ]
    assert text.count("intervals: 90%") == 1
    assert "intervals" not in render_markdown(judged(without_interval(finding(A))))


def test_what_turns_decided_says_both_and_what_that_took():
    text = render_markdown(
        judged(
            in_turns(A, ratio=1.051),
            finding(B, "environment"),
            finding(C, "machine"),
            in_turns(D, "unchanged", 1.002),
            run=run_of(A, B, C, D),
            confirmation=Confirmation(tests=2, launches=5, seconds=41.2, remarks=("one <test> could not be run",)),
        )
    )
    told = "**1 regressed**", "**1 environment**", "**1 machine**", "<details><summary>1 unchanged</summary>"
    assert titles(text) == list(told)
    assert f"- unchanged: {code(D)}: 10.0% slower than the baseline, and 0.2%" in text
    assert (
        escaped("10.0% slower than the baseline, and 5.1% [4.0%, 6.2%] slower than 3f2a91c in turns, here, now") in text
    )
    assert "- confirmed in turns with 3f2a91c: 2 tests, 5 launches, 41 s\n- one &#60;test&#62; could not be run" in text


def test_names_are_names_and_nothing_else():
    page = Page(render_markdown(judged(*(finding(c, "regressed") for c in HOSTILE), run=run_of(*HOSTILE))))
    assert {visible(c) for c in HOSTILE} <= set(page.codes)
    assert page.tags <= {"h3", "p", "code", "ul", "li", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    assert [len(row) for row in page.rows] == [5] * 6


@pytest.mark.parametrize("text", ["@someone", "owner/repo#12", "#12", "www.example.com", "http://x.y", "a@b.example"])
def test_nothing_in_a_sentence_reaches_people_or_pages(text):
    """GitHub looks for mentions in the text of the page, when entities have been read."""
    (shown,) = "".join(Page(f"<code>{escaped(text)}</code>").codes).split("\n")
    assert "@s" not in shown
    assert "@b" not in shown
    assert "#1" not in shown
    assert not {"www.", "://"} & {part for part in ("www.", "://") if part in escaped(text)}


def test_a_name_in_code_can_be_copied():
    assert Page(code("test[@a#1]")).codes == ["test[@a#1]"]


def test_everything_a_reviewer_must_know():
    text = render_markdown(
        judged(
            finding(A, "regressed", waiver=WAIVER),
            finding(B, waiver=WAIVER),
            unmeasured={"x": "skipped: no GPU"},
            expired={"y": WAIVER},
            changes=("torch 2.13.0 -> 2.15.0",),
            reference=comparison(
                finding(A, "regressed"),
                finding(B),
                baseline="v1.json",
                confirmation=Confirmation(tests=1, launches=5, seconds=20),
            ),
        )
    )
    items = [line.removeprefix("- ") for line in text.split("\n") if line.startswith("- ")]
    plain = [" ".join(Page(line).codes) for line in items]
    assert any(item.endswith("(waived until 2031-01-31: the &#60;new&#62; kernel &#124; known)") for item in items)
    assert [c for c in plain if c] == ["x", A, B, "y", A]
    assert "changed: torch 2.13.0 -&#62; 2.15.0" in items
    assert "confirmed in turns: 1 test, 5 launches, 20 s" in items
    assert "**Since the reference <code>v1.json</code>**: 1 unchanged, 1 regressed&#59; 2 of 2 decided." in text
    calm = judged(finding(A), reference=comparison(finding(A)))
    assert render_markdown(calm).count("\n- ") == 0


def test_a_test_that_failed_and_has_no_baseline_is_named():
    run = run_of(A)
    scope = msgspec.structs.replace(run.scope, unmeasured={B: "failed in call", C: "skipped: no GPU"})
    text = render_markdown(judged(finding(A), run=msgspec.structs.replace(run, scope=scope)))
    assert "- not measured: <code>tests/test&#95;x.py&#58;&#58;test&#95;b</code> (failed in call)" in text
    assert "no GPU" not in text


def test_what_is_not_proven_is_named():
    unproven = a_measurement(0, evidence=Evidence(verdict="unknown"))
    run = msgspec.structs.replace(run_of(A), cases=(Case(id=A, test=A, measurements=(unproven,)),))
    assert f"- unvalidated: {code(A)}" in render_markdown(judged(finding(A), run=run))


def test_the_likely_cause_stands_below_the_reason():
    cause = Explanation(causes=(Cause(kind="copy", sentence="1 new <copy>"),))
    text = render_markdown(judged(finding(A, "regressed"), finding(B, "regressed"), explanations={A: cause}))
    assert "it is regressed by far<br>why: 1 new &#60;copy&#62;" in text
    assert text.count("<br>") == 1


@pytest.mark.parametrize("verdict", ["unchanged", "regressed", "inconclusive"])
@pytest.mark.parametrize(
    "name", ["tests/perf/test_models.py::test_model[resnet50-fp16-eager-{}]", "{}" + HOSTILE[1] * 40]
)
def test_two_thousand_cases_fit_a_comment(verdict, name):
    cases = [name.format(i) for i in range(2000)]
    found = judged(*(finding(c, verdict) for c in cases), run=run_of(*cases), vanished=tuple(cases))
    text = render_markdown(found)
    assert len(text) < LARGEST < GITHUB
    assert len(text) > LARGEST // 2  # it is filled with what there is
    assert f"2,000 {verdict}" in text
    listed = text.count("| unchanged |") + text.count("| regressed |") + text.count("| inconclusive |")
    assert f"{2000 - listed:,} more {verdict}, for which there is no room here." in text
    assert text.count("<details>") == text.count("</details>")


def test_one_regression_among_thousands_keeps_its_reason():
    cases = [f"tests/test_x.py::test[{i}]" for i in range(2000)]
    found = judged(finding(cases[7], "regressed"), *(finding(c) for c in cases if c != cases[7]), run=run_of(*cases))
    text = render_markdown(found)
    assert "it is regressed by far" in text.split("<details>")[0]
    assert len(text) > 0.9 * LARGEST


def test_without_room_everything_is_counted():
    text = render_markdown(judged(*(finding(c, "regressed") for c in (A, B)), vanished=(C, D)), largest=0)
    assert "**2 regressed**\n\n2 regressed, for which there is no room here." in text
    assert "- and 2 more" in text


def test_a_run_that_was_not_judged():
    run = run_of(A, B)
    scope = msgspec.structs.replace(run.scope, unmeasured={C: "skipped: no GPU"})
    text = render_recorded(msgspec.structs.replace(run, scope=scope))
    assert text.startswith("<!-- gpuperf: tesla-t4 -->\n\n### gpuperf: recorded\n\n2 cases on Tesla T4")
    assert "- not measured: <code>tests/test&#95;x.py&#58;&#58;test&#95;c</code> (skipped: no GPU)" in text
    assert "<details><summary>2 measured</summary>" in text
