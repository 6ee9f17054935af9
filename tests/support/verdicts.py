"""Comparisons made by hand: what the reports are tried on."""

from __future__ import annotations

import msgspec
from examples import DEVICE, ENVIRONMENT, a_measurement, a_session

from pytest_gpuperf.analysis.findings import Comparison, Finding
from pytest_gpuperf.results.records import Case, Run, Verdict, Waiver

HOSTILE = (
    "tests/test_x.py::test_a_name_that_goes_on[" + "-".join(f"parameter{i}" for i in range(20)) + "]",
    "tests/test_x.py::test[a|b||`code`*bold*_under_<script>alert(1)</script>&amp;[link](http://x)@someone #12]",
    "tests/test_x.py::test[\x1b[31mred\x1b[0m\x9b2J\r\n\n| forged | row |\u202edlrow\x7f]",
    "tests/test_x.py::test[日本語のとても長い名前のテストケースです😀👩\u200d👩\u200d👧e\u0301]",
    "no node id at all",
)
WAIVER = Waiver(until="2031-01-31", reason="the <new> kernel | known")


def finding(case: str, word: str = "unchanged", **changes: object) -> Finding:
    """One verdict: 10 % more time where it regressed."""
    ratio = {"regressed": 1.1, "improved": 0.9}.get(word, 1.0)
    fields: dict[str, object] = {
        "case": case,
        "test": case,
        "evidence": "time",
        "metric": "throughput",
        "baseline": 800.0,
        "current": 800.0 / ratio,
        "tolerance": 0.03,
        "baseline_sessions": 5,
        "current_sessions": 3,
        "verdict": Verdict(word=word, ratio=ratio, low=ratio * 0.99, high=ratio * 1.01, reason=f"it is {word} by far"),
    }
    return Finding(**(fields | changes))


def memory(case: str, word: str, **changes: object) -> Finding:
    """The verdict on a case's peak memory."""
    fields = {"evidence": "peak_memory", "metric": "peak_memory", "baseline": 1e9, "current": 1.1e9}
    return finding(case, word, **(fields | changes))


def comparison(*findings: Finding, **changes: object) -> Comparison:
    """Against baselines/t4.json."""
    return Comparison(**({"baseline": "baselines/t4.json", "device": DEVICE, "findings": findings} | changes))


def run_of(*cases: str, **changes: object) -> Run:
    """One session that measured these cases."""
    return Run(
        environment=ENVIRONMENT,
        sessions=(a_session(0),),
        cases=tuple(Case(id=c, test=c.split("#")[0], measurements=(a_measurement(0, **changes),)) for c in cases),
    )


def without_interval(found: Finding) -> Finding:
    """A verdict of too little evidence for an interval."""
    verdict = msgspec.structs.replace(found.verdict, low=0.0, high=float("inf"))
    return msgspec.structs.replace(found, verdict=verdict)
