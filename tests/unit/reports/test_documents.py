"""JSON for programs, the table for people, and the exit code."""

from __future__ import annotations

import json

import msgspec
import pytest
from verdicts import HOSTILE, comparison, finding, run_of, without_interval

from pytest_gpuperf.comparison.findings import Comparison, Rules
from pytest_gpuperf.comparison.judged import JudgedRun
from pytest_gpuperf.reports.formats import FORMATS, terminal_width

A, B, C = (f"tests/test_x.py::test_{n}" for n in "abc")


def judged(*findings, run=None, reference=None, **changes):
    return JudgedRun(run or run_of(A, B), comparison(*findings, **changes), reference)


def test_json_says_everything():
    shown = judged(finding(A, "regressed"), finding(B), new=(C,), reference=comparison(finding(A)))
    report = json.loads(FORMATS["json"](shown))
    assert report["exit_code"] == 1
    assert report["problems"] == ["1 of 2 compared figures regressed."]
    assert (report["measured"], report["compared"], report["decided"]) == (2, 2, 2)
    assert report["interval_level"] == 0.9
    assert msgspec.convert(report["comparison"], Comparison) == shown.comparison
    assert msgspec.convert(report["reference"], Comparison) == shown.reference


def test_json_obeys_no_name():
    text = FORMATS["json"](judged(*(finding(c) for c in (*HOSTILE, "tag \U000e0041"))))
    assert all(line.isprintable() for line in text.split("\n"))
    assert [f["case"] for f in json.loads(text)["comparison"]["findings"]] == [*HOSTILE, "tag \U000e0041"]


def test_json_is_no_command_of_a_github_job():
    text = FORMATS["json"](judged(finding("test_x.py::test[##[add-mask]x]")))
    assert "##[" not in text
    assert json.loads(text)["comparison"]["findings"][0]["case"] == "test_x.py::test[##[add-mask]x]"


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
    assert JudgedRun(run_of(A), own, reference).exit_code == code


def test_what_is_wrong_beyond_the_comparison_fails():
    wrong = JudgedRun(run_of(A), comparison(finding(A)), trouble=("a suspect could not be confirmed.",))
    assert (wrong.exit_code, wrong.problems) == (1, ("a suspect could not be confirmed.",))


def test_what_belongs_to_a_test_is_found_by_it():
    both = judged(finding(A, "regressed"), finding(B), run=run_of(A, B))
    assert [c.id for c in both.cases_of(A)] == [f.case for f in both.findings_of(A)] == [A]
    assert (both.cases_of("other"), both.findings_of("other")) == ((), ())
