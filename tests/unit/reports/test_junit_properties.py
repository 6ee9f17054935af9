"""What a test's figures and verdict are called beside it."""

from __future__ import annotations

from examples import a_measurement
from verdicts import WAIVER, finding, in_turns, memory, without_interval

from pytest_gpuperf.records.model import Case, Evidence
from pytest_gpuperf.reports.junit import judged_properties, measured_properties

A = "tests/test_x.py::test_a"


def test_the_figures_of_a_case():
    proven = a_measurement(0, evidence=Evidence(verdict="proven"), peak_memory=2**20, peak_allocated=3 * 2**20)
    found = dict(measured_properties(Case(id=A, test=A, measurements=(proven,)), "Tesla T4"))
    assert found.pop("gpuperf.throughput").startswith("798")
    assert float(found.pop("gpuperf.median")) > 0.01
    assert found == {
        "gpuperf.clock": "cuda-event",
        "gpuperf.sessions": "1",
        "gpuperf.device": "Tesla T4",
        "gpuperf.evidence": "proven",
        "gpuperf.peak_memory": "1048576",
        "gpuperf.peak_allocated": "3145728",
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
        "gpuperf.basis": "baseline",
        "gpuperf.reason": "it is regressed by far",
        "gpuperf.peak_memory.verdict": "waived",
        "gpuperf.peak_memory.ratio": "1.1",
        "gpuperf.peak_memory.interval": "1.089 1.111",
        "gpuperf.peak_memory.basis": "baseline",
        "gpuperf.peak_memory.reason": "it is regressed by far",
    }
    turned = dict(judged_properties([in_turns(A, ratio=1.051)]))
    assert (turned["gpuperf.margin"], turned["gpuperf.basis"]) == ("0.03", "turns")
    assert (turned["gpuperf.base_revision"], turned["gpuperf.launches"]) == ("3f2a91c4d0", "5")
    assert turned["gpuperf.reason"].startswith("10.0% slower than the baseline, and 5.1%")
    assert "gpuperf.interval" not in dict(judged_properties([without_interval(finding(A))]))
