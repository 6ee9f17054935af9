"""What a test's figures and verdict are called beside it."""

from __future__ import annotations

from examples import a_measurement
from verdicts import WAIVER, finding, in_turns, memory, verdict, without_interval

from pytest_gpuperf.reports.junit import judged_properties, measured_properties
from pytest_gpuperf.results.records import Case, Evidence

A = "tests/test_x.py::test_a"


def test_the_figures_of_a_case():
    proven = a_measurement(0, evidence=Evidence(verdict="proven"), peak_memory=2**20)
    found = dict(measured_properties(Case(id=A, test=A, measurements=(proven,)), "Tesla T4"))
    assert found.pop("gpuperf.throughput").startswith("798")
    assert float(found.pop("gpuperf.median")) > 0.01
    assert found == {
        "gpuperf.clock": "cuda-event",
        "gpuperf.sessions": "1",
        "gpuperf.device": "Tesla T4",
        "gpuperf.evidence": "proven",
        "gpuperf.peak_memory": "1048576",
    }


def test_a_second_measurement_says_its_name():
    case = Case(id=f"{A}#prefill", test=A, measurements=(a_measurement(0, peak_memory=None),))
    found = dict(measured_properties(case, "cpu"))
    assert found["gpuperf#prefill.evidence"] == "not looked at"
    assert "gpuperf#prefill.peak_memory" not in found


def test_the_verdict_of_each_figure():
    found = dict(judged_properties([finding(A, "regressed"), memory(A, "regressed", waiver=WAIVER)]))
    assert found == {
        "gpuperf.verdict": "regressed",
        "gpuperf.ratio": "1.1",
        "gpuperf.interval": "1.089 1.111",
        "gpuperf.margin": "0.03",
        "gpuperf.basis": "baseline",
        "gpuperf.reason": "it is regressed by far",
        "gpuperf.peak_memory.verdict": "waived",
        "gpuperf.peak_memory.ratio": "1.1",
        "gpuperf.peak_memory.interval": "1.089 1.111",
        "gpuperf.peak_memory.margin": "0.03",
        "gpuperf.peak_memory.basis": "baseline",
        "gpuperf.peak_memory.reason": "it is regressed by far",
    }
    assert "gpuperf.interval" not in dict(judged_properties([without_interval(finding(A))]))
    assert dict(judged_properties([in_turns(A)]))["gpuperf.basis"] == "turns"
    unknown = finding(A, "inconclusive", verdict=verdict("inconclusive", margin=None))
    assert "gpuperf.margin" not in dict(judged_properties([unknown]))
