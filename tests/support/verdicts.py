"""Comparisons made by hand: what the reports are tried on."""

from __future__ import annotations

import msgspec
from examples import DEVICE, ENVIRONMENT, a_measurement, a_session

from pytest_gpuperf.analysis.findings import Comparison, Finding, Turns
from pytest_gpuperf.results.records import Case, Run, Verdict, Waiver
from pytest_gpuperf.results.units import METRICS

HOSTILE = (
    "tests/test_x.py::test_a_name_that_goes_on[" + "-".join(f"parameter{i}" for i in range(20)) + "]",
    "tests/test_x.py::test[a|b||`code`*bold*_under_<script>alert(1)</script>&amp;[link](http://x)@someone #12]",
    "tests/test_x.py::test[\x1b[31mred\x1b[0m\x9b2J\r\n\n| forged | row |\u202edlrow\x7f]",
    "tests/test_x.py::test[日本語のとても長い名前のテストケースです😀👩\u200d👩\u200d👧e\u0301]",
    "no node id at all",
)
WAIVER = Waiver(until="2031-01-31", reason="the <new> kernel | known")


RATIOS = {"regressed": 1.1, "improved": 0.9, "environment": 1.1, "machine": 1.1}
BEFORE = {"throughput": 800.0, "device_time": 0.01, "latency": 0.01, "peak_memory": 1e9, "energy": 0.5}


def verdict(word: str = "unchanged", ratio: float | None = None, **changes: object) -> Verdict:
    """10 % more of a cost where it regressed."""
    ratio = RATIOS.get(word, 1.0) if ratio is None else ratio
    fields = {"word": word, "ratio": ratio, "low": ratio * 0.99, "high": ratio * 1.01, "margin": 0.03}
    return Verdict(**(fields | {"reason": f"it is {word} by far"} | changes))


def finding(case: str, word: str = "unchanged", **changes: object) -> Finding:
    """A verdict on time, with figures that give its ratio."""
    told = changes.get("verdict") or verdict(word)
    metric = str(changes.get("metric", "throughput"))
    before = BEFORE[metric]
    fields: dict[str, object] = {
        "case": case,
        "test": case,
        "evidence": METRICS[metric].evidence,
        "metric": metric,
        "baseline": before,
        "current": before / told.ratio if METRICS[metric].higher_is_better else before * told.ratio,
        "tolerance": 0.03,
        "baseline_sessions": 5,
        "current_sessions": 3,
        "verdict": told,
    }
    return Finding(**(fields | changes))


def memory(case: str, word: str, **changes: object) -> Finding:
    """The verdict on a case's peak memory."""
    return finding(case, word, metric="peak_memory", **changes)


def in_turns(case: str, word: str = "regressed", ratio: float = 1.051, screened: float = 1.054) -> Finding:
    """A case that the baseline found slower, and that 7 launches beside revision 3f2a91c4d0 decided."""
    low, high = ratio - 0.009, ratio + 0.009
    told = verdict(word, ratio, low=low, high=high, basis="turns", margin=0.031)
    turns = Turns(base="3f2a91c4d0", launches=7)
    return finding(case, word, verdict=told, screened=verdict("regressed", screened), turns=turns)


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
