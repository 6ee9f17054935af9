"""Ratios as a person and as a spreadsheet reads them."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest
from examples import ENVIRONMENT, a_baseline, a_measurement, a_session

from pytest_gpuperf.comparison.ratios import ratios
from pytest_gpuperf.records.model import Case, Run
from pytest_gpuperf.reports.ratios_report import render_csv, render_ratios


def a_run(*levels: dict[str, str], test: str = "test", **changes: object) -> Run:
    cases = [
        Case(
            id=f"tests/x.py::{test}[{'-'.join(p.values())}]",
            test=f"tests/x.py::{test}[{'-'.join(p.values())}]",
            parameters=p,
            measurements=(a_measurement(0, 0.01 / (i + 1), **changes),),
        )
        for i, p in enumerate(levels)
    ]
    return Run(environment=ENVIRONMENT, sessions=(a_session(0),), cases=tuple(cases))


TWO = ({"precision": "fp32", "model": "net", "batch": "8"}, {"precision": "fp16", "model": "net", "batch": "8"})


def lines(run: Run, over: str = "precision", width: int = 80) -> list[str]:
    return [" ".join(line.split()) for line in render_ratios(ratios(run, over), width).split("\n")]


def test_the_table():
    shown = lines(a_run(*TWO))
    assert shown[:4] == [
        "precision latency change throughput speed-up memory change",
        "model net, batch 8",
        "fp32 10.0 ms - 798 /s - 1.00 GiB -",
        "fp16 5.01 ms -50.0% 1597 /s 2.00x 1.00 GiB +0.0%",
    ]
    assert "clock of its case (cuda-event)" in " ".join(shown)


def test_it_fits_into_80_columns():
    assert max(map(len, render_ratios(ratios(a_run(*TWO), "precision"), 80).split("\n"))) <= 80


def test_what_was_not_measured_is_a_dash():
    assert lines(a_run(*TWO, peak_memory=None))[3] == "fp16 5.01 ms -50.0% 1597 /s 2.00x - -"


def test_several_tests_are_told_apart():
    first, second = a_run(*TWO), a_run(*TWO, test="test_two")
    both = msgspec.structs.replace(first, cases=first.cases + second.cases)
    titles = [line for line in lines(both) if "::" in line]
    assert titles == ["tests/x.py::test model net, batch 8", "tests/x.py::test_two model net, batch 8"]


def test_a_test_with_one_parameter_is_named_by_itself():
    assert lines(a_run({"precision": "fp32"}, {"precision": "fp16"}))[1] == "tests/x.py::test"


def test_what_could_not_be_compared_is_named():
    run = a_run(
        *TWO,
        {"precision": "fp32", "batch": "1"},
        {"precision": "bf16", "batch": "2"},
        {"precision": "fp16", "batch": "2"},
        *({"batch": str(i)} for i in range(3, 8)),
    )
    text = " ".join(lines(run))
    assert "1 case has no other precision to compare with: tests/x.py::test[fp32-1]" in text
    assert (
        "5 cases have no parameter precision: "
        "tests/x.py::test[3], tests/x.py::test[4], tests/x.py::test[5] and 2 more" in text
    )
    assert "2 cases have no precision fp32 to compare with: tests/x.py::test[bf16-2], tests/x.py::test[fp16-2]" in text


def test_what_cannot_be_told_apart_is_named():
    run = a_run({"precision": "fp32"})
    again = msgspec.structs.replace(run.cases[0], id="tests/x.py::test[b]", test="tests/x.py::test[b]")
    text = " ".join(lines(msgspec.structs.replace(run, cases=(*run.cases, again))))
    assert "2 cases have the same parameters as another" in text


def test_nothing_to_compare_leaves_no_empty_table():
    text = render_ratios(ratios(a_run(TWO[0]), "precision"), 80)
    assert text.startswith("latency: ")


def test_where_published_figures_come_from():
    accepted, _ = a_baseline(0).cases
    kept = msgspec.structs.replace(
        a_baseline(0),
        provenance="published",
        source="a paper",
        cases=(msgspec.structs.replace(accepted, parameters={"precision": "fp32"}),),
    )
    assert "source: a paper" in render_ratios(ratios(kept, "precision"), 80)


def test_csv_has_a_column_for_every_parameter_and_figure():
    rows = list(csv.DictReader(io.StringIO(render_csv(ratios(a_run(*TWO), "precision")))))
    assert rows[0] == {
        "case": "tests/x.py::test[fp32-net-8]",
        "model": "net",
        "precision": "fp32",
        "batch": "8",
        "clock": "cuda-event",
        "latency_ms": "10.02",
        "items_per_s": "798.403",
        "memory_mb": "1073.74",
        "reference": "fp32",
        "latency_change_percent": "",
        "speedup": "",
        "memory_change_percent": "",
    }
    assert float(rows[1]["speedup"]) == pytest.approx(2)
    assert float(rows[1]["latency_change_percent"]) == pytest.approx(-50)
    assert float(rows[1]["memory_change_percent"]) == 0


def test_csv_leaves_empty_what_a_case_does_not_have():
    run = a_run({"precision": "fp32"}, {"precision": "fp16", "fused": "True"})
    rows = list(csv.DictReader(io.StringIO(render_csv(ratios(run, "precision")))))
    assert [row["fused"] for row in rows] == ["", "True"]


def test_csv_has_no_formula():
    levels = ({"precision": "fp32", "=x": "=1+1"}, {"precision": "-1", "=x": "=1+1"})
    text = render_csv(ratios(a_run(*levels), "precision"))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["precision"], row["'=x"]) for row in rows] == [("fp32", "'=1+1"), ("-1", "'=1+1")]
