"""The CSV of a run: S1's and S3's columns, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest
from examples import ENVIRONMENT, a_measurement, a_session
from verdicts import HOSTILE, comparison, finding, in_turns, memory, run_of

from pytest_gpuperf.causes.explain import Cause, Explanation
from pytest_gpuperf.records.model import Case, Evidence, Run, Witness
from pytest_gpuperf.reports.csv_report import cell, render_columns

A, B, C = (f"tests/test_x.py::test_{n}" for n in "abc")


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def measured(**changes):
    parameters = {"model": "resnet50", "precision": "fp16", "batch": "32"}
    case = Case(id=A, test=A, parameters=parameters, measurements=(a_measurement(0, level=0.04, **changes),))
    return Run(environment=ENVIRONMENT, sessions=(a_session(0),), cases=(case,))


def test_the_columns_of_s1():
    (line,) = read(render_columns(measured(peak_memory=633_100_000), None))
    assert (line["model"], line["precision"], line["batch"], line["device"]) == ("resnet50", "fp16", "32", "Tesla T4")
    assert float(line["latency_mean_ms"]) == pytest.approx(40, rel=0.01)
    assert float(line["items_per_s"]) == pytest.approx(200, rel=0.01)
    assert float(line["memory_mb"]) == pytest.approx(633.1)
    assert (line["revision"], line["measured_at"]) == ("abc123", "2026-01-01T02:00:00Z")
    assert line["verdict"] == ""


def test_the_columns_of_s3():
    witnesses = (
        Witness(name="memory", rating="supports", figure="rose by 5.5 GiB"),
        Witness(name="utilisation", rating="says nothing", figure="0-3 % in 9 samples"),
    )
    proof = Evidence(verdict="proven", witnesses=witnesses)
    (line,) = read(render_columns(measured(energy=3.6, first_call=0.5, evidence=proof, latencies=(0.02,) * 70), None))
    assert float(line["wh_per_1000_items"]) == pytest.approx(1)
    assert float(line["mean_power_w"]) == pytest.approx(3.6 * float(line["items_per_s"]), rel=1e-4)
    assert line["first_call_ms"] == "500"
    assert (line["single_call_p50_ms"], line["single_call_p90_ms"], line["single_call_p99_ms"]) == ("20", "20", "")
    assert (line["evidence"], line["evidence_memory"]) == ("proven", "rose by 5.5 GiB")
    assert line["evidence_utilisation"] == "0-3 % in 9 samples"


def test_the_verdicts():
    judged = comparison(
        finding(A, "regressed"),
        memory(A, "improved"),
        finding(B),
        new=(C,),
        explanations={A: Explanation(causes=(Cause(kind="copy", sentence="1 new copy"),))},
    )
    lines = read(render_columns(run_of(A, B, C, "other"), judged))
    assert [line["verdict"] for line in lines] == ["not compared", "regressed", "unchanged", "new"]
    assert lines[1]["ratio"] == "1.1"
    assert (lines[1]["memory_verdict"], lines[2]["memory_verdict"]) == ("improved", "")
    assert (lines[1]["baseline"], lines[1]["metric"], lines[1]["tolerance_percent"]) == ("800", "throughput", "3")
    assert (lines[1]["margin_percent"], lines[1]["basis"], lines[1]["base_revision"], lines[1]["launches"]) == (
        ("", "baseline", "", "")
    )
    assert lines[1]["why"].startswith("1 new copy")
    assert lines[2]["why"] == lines[3]["why"] == ""


def test_what_turns_decided():
    (line,) = read(render_columns(run_of(A), comparison(in_turns(A, ratio=1.051))))
    assert (line["ratio"], line["ratio_low"], line["ratio_high"]) == ("1.051", "1.04049", "1.06151")
    assert (line["margin_percent"], line["basis"]) == ("3", "turns")
    assert (line["base_revision"], line["launches"]) == ("3f2a91c4d0", "5")
    assert line["reason"].startswith("10.0% slower than the baseline, and 5.1%")


def test_a_session_that_no_header_tells_of_is_left_out():
    (line,) = read(render_columns(msgspec.structs.replace(measured(), sessions=()), None))
    assert (line["measured_at"], line["revision"]) == ("", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1+1", "'  =1+1"),
        ("＝1+1", "'＝1+1"),  # noqa: RUF001
        ("\t=1", r"\t=1"),
        ("-1", "-1"),
        ("+0.5e-3", "+0.5e-3"),
        ("-1.5", "-1.5"),
        ("fp16", "fp16"),
        ("", ""),
    ],
)
def test_a_text_is_no_formula_and_a_number_stays_one(text, shown):
    assert cell(text) == shown


def test_names_of_tests_and_parameters_are_texts():
    names = (*HOSTILE, '=HYPERLINK("http://x")', "a,b\n=1+1")
    cases = tuple(
        Case(id=n, test=n, parameters={"=x": "=1", "verdict": "-3"}, measurements=(a_measurement(0),)) for n in names
    )
    text = render_columns(Run(environment=ENVIRONMENT, sessions=(a_session(0),), cases=cases), None)
    lines = read(text)
    assert len(lines) == len(names) == len(text.splitlines()) - 1
    for line in lines:
        assert line["case"][0] not in "=+-@\t"
        assert line["'=x"] == "'=1"
        assert (line["parameter_verdict"], line["verdict"]) == ("-3", "")
