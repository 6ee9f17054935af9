"""The figures every report shows, in words: one row a case, whatever the format."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from pytest_gpuperf.analysis.findings import Comparison, Finding
from pytest_gpuperf.results.records import Case, Measurement, Run
from pytest_gpuperf.results.units import METRICS, format_bytes, format_change, format_rate, format_seconds, significant

NONE = "-"

_FORMATS: Mapping[str, Callable[[float], str]] = {
    "items/s": format_rate,
    "s": format_seconds,
    "B": format_bytes,
    "J/item": lambda value: f"{significant(value)} J/item",
}


@dataclass(frozen=True)
class Row:
    """One case of a run, with its findings."""

    case: str
    throughput: str  # of two revisions: the base's figure ...
    latency: str  # ... and the head's
    findings: tuple[Finding, ...]  # time first; none where the case was not compared
    new: bool = False


def titles(comparison: Comparison) -> tuple[str, ...]:
    """The columns of a judged table; of two revisions, the judged figure of each."""
    both = (comparison.sides.base, comparison.sides.head) if comparison.sides else ("throughput", "latency p50")
    return ("case", *both, "change", "verdict")


def rows(comparison: Comparison | None, run: Run) -> list[Row]:
    """A row for every measured case, by id."""
    if comparison is not None and comparison.sides is not None:
        return [
            Row(f.case, figure(f.metric, f.baseline), figure(f.metric, f.current), (f,)) for f in comparison.findings
        ]
    findings: dict[str, list[Finding]] = {}
    for finding in comparison.findings if comparison else ():
        findings.setdefault(finding.case, []).append(finding)
    new = frozenset(comparison.new if comparison else ())
    return [
        Row(
            case=case.id,
            throughput=throughput(case),
            latency=latency(case),
            findings=tuple(sorted(findings.get(case.id, ()), key=lambda f: f.evidence != "time")),
            new=case.id in new,
        )
        for case in sorted(run.cases, key=lambda c: c.id)
    ]


def throughput(case: Case) -> str:
    """Items per second, the median of the case's sessions."""
    return format_rate(median(m.throughput for m in case.measurements))


def latency(case: Case) -> str:
    """The median of single calls, where enough of them were timed."""
    every = [m.latency for m in case.measurements]  # sorts its samples each time it is asked
    middles = [calls.p50 for calls in every if calls and calls.p50]
    return format_seconds(median(middles)) if middles else NONE


def arithmetic(measurement: Measurement) -> str | None:
    """The floating-point operations a second, and their share of what the device does, where they were counted."""
    rate, share = measurement.flops_per_second, measurement.ceiling_share
    if rate is None:
        return None
    return f"{significant(rate / 1e12)} TFLOP/s" + ("" if share is None else f", {share:.0%} of the device's")


def figure(metric: str, value: float) -> str:
    """A figure with its unit."""
    return _FORMATS[METRICS[metric].unit](value)


def change(finding: Finding, metric: str | None = None) -> str:
    """How the figure moved, with the interval: ``-5.8% [-7.2%, -4.1%]``.

    A verdict's ratios are of a cost. Less throughput is more time: for a figure of which more is better they turn.
    """
    verdict = finding.verdict
    turned = METRICS[metric or finding.metric].higher_is_better
    middle, low, high = (
        (1 / verdict.ratio, _turned(verdict.high), _turned(verdict.low))
        if turned
        else (verdict.ratio, verdict.low, verdict.high)
    )
    if not (0 < low < math.inf and 0 < high < math.inf):  # too little evidence for an interval
        return format_change(middle)
    return f"{format_change(middle)} [{format_change(low)}, {format_change(high)}]"


def _turned(ratio: float) -> float:
    return 1 / ratio if ratio > 0 else math.inf


def metric_name(finding: Finding) -> str:
    """The judged figure in words."""
    return finding.metric.replace("_", " ")


def word(finding: Finding) -> str:
    """The verdict as shown: a regression that is tolerated for a while says so."""
    return "waived" if finding.verdict.word == "regressed" and finding.waiver else finding.verdict.word


def sessions(count: int) -> str:
    """``1 session``, ``5 sessions``."""
    return "1 session" if count == 1 else f"{count} sessions"


def counts(comparison: Comparison) -> str:
    """``5 unchanged, 1 regressed, 2 new; 6 of 6 decided``."""
    words = [word(f) for f in comparison.timed]
    numbers = {
        **{w: words.count(w) for w in ("unchanged", "improved", "regressed", "waived", "inconclusive", "reference")},
        "new": len(comparison.new),
        "vanished": len(comparison.vanished),
        "not measured": len(comparison.unmeasured),
    }
    listed = ", ".join(f"{number} {what}" for what, number in numbers.items() if number)
    return f"{listed or 'no cases'}; {comparison.decided} of {len(comparison.timed)} decided"
