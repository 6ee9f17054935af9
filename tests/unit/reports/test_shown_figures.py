"""What a row shows before and now gives the change that it shows beside them, whatever the report."""

from __future__ import annotations

import csv
import html
import io
import json
import re

from hypothesis import example, given
from hypothesis import strategies as st
from verdicts import USUAL, a_verdict, comparison, finding, run_of

from pytest_gpuperf.comparison.findings import Finding
from pytest_gpuperf.comparison.judged import JudgedRun
from pytest_gpuperf.records.units import METRICS
from pytest_gpuperf.reports.csv_report import render_columns
from pytest_gpuperf.reports.formats import render_json
from pytest_gpuperf.reports.html.page import Subject, page_of
from pytest_gpuperf.reports.junit import judged_properties
from pytest_gpuperf.reports.markdown import render_markdown
from pytest_gpuperf.reports.terminal import explain, render_table

CASE = "tests/test_x.py::test_a"
SCALES = {
    "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9,
    "B": 1.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "J/item": 1.0,
    "/s": 1.0, "k/s": 1e3, "M/s": 1e6, "G/s": 1e9,
}  # fmt: skip
FIGURE = r"(\d+(?:\.\d+)?(?:e[-+]\d+)?) ([^\s,]+)"
MOVED = r"([-+]\d+\.\d%|x\d+(?:\.\d+)?)"
PARTS = 1.0005**2 - 1  # two figures of four digits, each rounded


@st.composite
def findings(draw: st.DrawFn) -> Finding:
    """Of every metric and word, from a thousandth of what is usual to a thousand times that."""
    metric = METRICS[draw(st.sampled_from(sorted(METRICS)))]
    ratio = draw(st.floats(0.02, 50) | st.floats(0.9, 1.1))
    word = draw(st.sampled_from(["regressed", "improved", "inconclusive", "environment", "machine"]))
    before = USUAL[metric.kind] * draw(st.floats(1e-3, 1e3))
    return finding(CASE, evidence=metric.kind, metric=metric.name, verdict=a_verdict(word, ratio, before=before))


def read(number: str, unit: str) -> float:
    return float(number) * SCALES[unit]


def ratio_of(change: str) -> tuple[float, float]:
    """The least and the largest ratio that is shown so."""
    if change.startswith("x"):
        return float(change[1:]) * 0.995, float(change[1:]) * 1.005
    percent = float(change.removesuffix("%"))
    return 1 + (percent - 0.0501) / 100, 1 + (percent + 0.0501) / 100


def agrees(before: float, now: float, change: str) -> bool:
    low, high = ratio_of(change)
    return low * (1 - PARTS) <= now / before <= high * (1 + PARTS)


FASTER = finding(CASE, verdict=a_verdict("improved", 0.5, before=0.9996))
FEW_BYTES = finding(
    CASE, evidence="peak_memory", metric="peak_memory", verdict=a_verdict("regressed", 1.5, before=1023.9)
)


@given(findings())
@example(FASTER)
@example(FEW_BYTES)
def test_the_table_s_columns_give_its_change(found: Finding) -> None:
    table = render_table(comparison(found), run_of(CASE), 200)
    row = re.search(rf"{FIGURE} +{FIGURE} +{MOVED} \[", table)
    assert row, table
    assert agrees(read(row[1], row[2]), read(row[3], row[4]), row[5]), row[0]


@given(findings())
@example(FASTER)
@example(FEW_BYTES)
def test_markdown_s_columns_give_its_change(found: Finding) -> None:
    text = html.unescape(render_markdown(JudgedRun(run_of(CASE), comparison(found))))
    row = re.search(rf"\| {FIGURE} \| {FIGURE} \| {MOVED} \[", text)
    assert row, text
    assert agrees(read(row[1], row[2]), read(row[3], row[4]), row[5]), row[0]


@given(findings())
@example(FASTER)
def test_the_page_s_columns_give_its_change(found: Finding) -> None:
    comparing = JudgedRun(run_of(CASE), comparison(found))
    (judged,) = page_of(Subject(comparing.run, comparing)).cases[0].judged
    assert abs(judged.costs[1] / judged.costs[0] / judged.ratio - 1) < 1e-7


@given(findings())
@example(FASTER)
def test_the_failure_s_figures_give_its_change(found: Finding) -> None:
    text = " ".join(explain(found, comparison(found)).split())
    figures = re.search(rf"before {FIGURE}(?:, {FIGURE} a call)? .* now {FIGURE}(?:, {FIGURE} a call)? \(", text)
    assert figures, text
    before, now = (read(*figures.group(i, i + 1)) for i in ((3, 7) if figures[3] else (1, 5)))
    words = re.search(r"change ([\d.]+)(%| times) \[.*?\] (slower|faster|more|less|as slow|the)", text)
    assert words, text
    sign = "-" if words[3] in {"faster", "less"} else "+"
    shown = f"x{words[1]}" if words[2] == " times" else f"{sign}{words[1]}%"
    assert agrees(before, now, shown), text


@given(findings())
@example(FASTER)
def test_programs_read_figures_that_give_the_ratio_they_read(found: Finding) -> None:
    judged = JudgedRun(run_of(CASE), comparison(found))
    (of_json,) = json.loads(render_json(judged))["comparison"]["findings"]
    properties = dict(judged_properties([found]))
    prefix = "gpuperf" if found.evidence == "time" else f"gpuperf.{found.evidence}"
    ratio = found.verdict.ratio
    assert abs(float(properties[f"{prefix}.ratio"]) / ratio - 1) < 1e-5
    quotient = of_json["current"] / of_json["baseline"]
    if found.metric == "throughput":  # more of it is less time
        quotient = 1 / quotient
    assert abs(quotient / of_json["verdict"]["ratio"] - 1) < 1e-9
    if found.evidence == "time":
        (line,) = csv.DictReader(io.StringIO(render_columns(run_of(CASE), judged.comparison)))
        before, now, ratio = (float(line[name]) for name in ("baseline", "current", "ratio"))
        quotient = before / now if line["metric"] == "throughput" else now / before
        assert abs(quotient / ratio - 1) < 2e-5
