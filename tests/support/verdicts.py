"""Comparisons made by hand: what the reports are tried on."""

from __future__ import annotations

import msgspec
from examples import DEVICE, ENVIRONMENT, a_measurement, a_session

from pytest_gpuperf.comparison.findings import Comparison, Finding, InTurns
from pytest_gpuperf.records.model import Case, Run, Verdict, Waiver

HOSTILE = (
    "tests/test_x.py::test_a_name_that_goes_on[" + "-".join(f"parameter{i}" for i in range(20)) + "]",
    "tests/test_x.py::test[a|b||`code`*bold*_under_<script>alert(1)</script>&amp;[link](http://x)@someone #12]",
    "tests/test_x.py::test[\x1b[31mred\x1b[0m\x9b2J\r\n\n| forged | row |\u202edlrow\x7f]",
    "tests/test_x.py::test[日本語のとても長い名前のテストケースです😀👩\u200d👩\u200d👧e\u0301]",
    "no node id at all",
)
WAIVER = Waiver(until="2031-01-31", reason="the <new> kernel | known")


RATIOS = {"regressed": 1.1, "improved": 0.9, "environment": 1.1, "machine": 1.1}
USUAL = {"time": 0.01, "peak_memory": 1e9, "energy": 0.5}  # seconds a call, bytes, joules an item
ITEMS = 8


def finding(case: str, word: str = "unchanged", ratio: float | None = None, **changes: object) -> Finding:
    """One verdict: a tenth more time where it regressed. Its figures give the ratio of its verdict."""
    fields: dict[str, object] = {"evidence": "time", "metric": "throughput", **changes}
    verdict = fields.pop("verdict", None) or a_verdict(word, ratio, before=USUAL[str(fields["evidence"])])
    before, now = verdict.before, (verdict.before or 0.01) * verdict.ratio
    before = before or 0.01
    if fields["metric"] == "throughput":
        before, now = ITEMS / before, ITEMS / now
    usual = {
        "case": case,
        "test": case,
        "baseline": before,
        "current": now,
        "tolerance": 0.03,
        "baseline_sessions": 5,
        "current_sessions": 3,
        "verdict": verdict,
    }
    return Finding(**(usual | fields))


def a_verdict(word: str, ratio: float | None = None, **changes: object) -> Verdict:
    """With an interval of one percent to either side."""
    ratio = RATIOS.get(word, 1.0) if ratio is None else ratio
    fields = {"low": ratio * 0.99, "high": ratio * 1.01, "reason": f"it is {word} by far", "before": 0.01}
    return Verdict(word=word, ratio=ratio, **(fields | changes))


def in_turns(case: str, word: str = "regressed", ratio: float | None = None, **changes: object) -> Finding:
    """What turns decided, where the baseline alone had said a tenth more time."""
    fields = {
        "verdict": a_verdict(word, ratio, basis="turns", margin=0.03),
        "screened": a_verdict("regressed"),
        "turns": InTurns(base="3f2a91c4d0", launches=5),
    }
    return finding(case, **(fields | changes))


def memory(case: str, word: str = "unchanged", **changes: object) -> Finding:
    """The verdict on a case's peak memory."""
    return finding(case, word, **({"evidence": "peak_memory", "metric": "peak_memory"} | changes))


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
