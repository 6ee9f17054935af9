"""The figures every report shows, in words: one row a case, whatever the format."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from pytest_gpuperf.analysis.findings import Comparison, Finding
from pytest_gpuperf.results.records import Case, Measurement, Run, Verdict
from pytest_gpuperf.results.units import (
    METRICS,
    format_bytes,
    format_change,
    format_rate,
    format_seconds,
    in_words,
    many,
    percent,
    significant,
)

NONE = "-"
JUDGED_DIGITS = 4  # of the figures before and now: with three, 1.04 and 1.06 could be 1 % apart, or 3 %
LEVEL = 0.9  # of every interval
LEGEND = f"change: of time per call (or bytes, or joules), + is worse; intervals are {LEVEL:.0%}"
COSTS = {"time": "time per call", "peak_memory": "peak memory", "energy": "energy per item"}
WORDS = ("unchanged", "improved", "regressed", "waived", "environment", "machine", "inconclusive", "reference")

_FORMATS: Mapping[str, Callable[[float, int], str]] = {
    "items/s": format_rate,
    "s": format_seconds,
    "B": format_bytes,
    "J/item": lambda value, digits: f"{significant(value, digits)} J/item",
}


@dataclass(frozen=True)
class Row:
    """One case of a judged run: its first finding's figures, which give the change beside them."""

    case: str
    before: str
    now: str
    findings: tuple[Finding, ...]  # time first; none where the case was not compared
    new: bool = False


def titles(comparison: Comparison) -> tuple[str, ...]:
    """The columns of a judged table; two revisions have their names."""
    both = (comparison.sides.base, comparison.sides.head) if comparison.sides else ("before", "now")
    return ("case", *both, "change", "verdict")


def rows(comparison: Comparison, run: Run) -> list[Row]:
    """A row for every measured case, by id; of two revisions, for every compared one."""
    findings: dict[str, list[Finding]] = {}
    for finding in comparison.findings:
        findings.setdefault(finding.case, []).append(finding)
    if comparison.sides is not None:
        return [_row(case, found) for case, found in findings.items()]
    new = frozenset(comparison.new)
    return [
        _row(case.id, findings[case.id])
        if case.id in findings
        else Row(case.id, NONE, throughput(case), (), case.id in new)
        for case in sorted(run.cases, key=lambda c: c.id)
    ]


def _row(case: str, findings: list[Finding]) -> Row:
    first, *others = sorted(findings, key=lambda f: f.evidence != "time")
    return Row(case, *before_and_now(first), (first, *others))


def measured(run: Run) -> list[tuple[str, str, str]]:
    """Every case of a run that was not judged: its id, throughput and latency."""
    return [(case.id, throughput(case), latency(case)) for case in sorted(run.cases, key=lambda c: c.id)]


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


def figure(metric: str, value: float, digits: int = JUDGED_DIGITS) -> str:
    """A figure with its unit."""
    return _FORMATS[METRICS[metric].unit](value, digits)


def before_and_now(finding: Finding) -> tuple[str, str]:
    """The two figures that were judged: they give the verdict's ratio."""
    return figure(finding.metric, finding.baseline), figure(finding.metric, finding.current)


def interval(verdict: Verdict) -> tuple[float, float] | None:
    """None where the evidence is too little for one."""
    return (verdict.low, verdict.high) if verdict.low > 0 and verdict.high < math.inf else None


def change(verdict: Verdict) -> str:
    """How the cost moved, for a column: ``+5.8% [+4.1%, +7.4%]``. Whatever the figures beside it are, + is worse."""
    ends = interval(verdict)
    between = f" [{', '.join(map(format_change, ends))}]" if ends else ""
    return format_change(verdict.ratio) + between


def moved(finding: Finding, beside: str = "") -> str:
    """The same in words: ``5.8% [4.1%, 7.4%] slower``."""
    verdict = finding.verdict
    return in_words(verdict.ratio, finding.evidence, interval=interval(verdict), beside=beside)


def headline(finding: Finding) -> str:
    """The verdict and the change in a few words: ``regressed, 5.8% [4.1%, 7.4%] slower``."""
    return f"{finding.verdict.word}, {moved(finding)}"


def both_changes(finding: Finding, baseline: str = "the baseline") -> str:
    """What the baseline said, and what was seen when the case was measured again, where that decided."""
    if finding.turns is not None:
        first = f"{_screened(finding, baseline)}, and " if finding.screened else ""
        told = f"{first}{moved(finding, finding.turns.base)} in turns, here, now"
    elif finding.screened:
        again = f"{moved(finding)} in {many(finding.current_sessions, 'session')}"
        told = f"{_screened(finding, baseline)} at first, and {again}"
    else:
        told = moved(finding, baseline)
    return told + (f" ({LEVEL:.0%} interval)" if interval(finding.verdict) else "")


def reason(finding: Finding) -> str:
    """Why the verdict is what it is; where the baseline alone did not decide, what it said comes first."""
    said = finding.verdict.reason
    return f"{_screened(finding, 'the baseline')}; {said}" if finding.screened else said


def _screened(finding: Finding, baseline: str) -> str:
    return in_words(finding.screened.ratio, finding.evidence, beside=baseline) if finding.screened else ""


def measured_by(finding: Finding) -> tuple[str, str]:
    """What stands behind the figures before and now."""
    if finding.turns is not None:
        return finding.turns.base, f"{many(finding.turns.launches, 'launch')} in turns"
    return many(finding.baseline_sessions, "session"), many(finding.current_sessions, "session")


def counted(finding: Finding) -> str:
    """The same in one: ``3 sessions against 5``."""
    was, became = measured_by(finding)
    return f"{became} with {was}" if finding.turns else f"{became} against {finding.baseline_sessions}"


def tolerance(finding: Finding) -> str:
    """``3% of throughput``: of the figure that it was given for."""
    return f"{percent(finding.tolerance)} of {metric_name(finding)}"


def metric_name(finding: Finding) -> str:
    """The figure that is shown, in words."""
    return finding.metric.replace("_", " ")


def word(finding: Finding) -> str:
    """The verdict as shown: a regression that is tolerated for a while says so."""
    return "waived" if finding.verdict.word == "regressed" and finding.waiver else finding.verdict.word


def verdict_cell(finding: Finding) -> str:
    """The verdict in a table: ``unchanged within 4.8%``."""
    margin = finding.verdict.margin if finding.verdict.word == "unchanged" else None
    return word(finding) if margin is None else f"unchanged within {percent(margin)}"


def confirmed(comparison: Comparison) -> Iterator[str]:
    """How suspects were confirmed and what that took; nothing where nothing was suspect."""
    record = comparison.confirmation
    if record is None:
        return
    if record.tests:
        bases = ", ".join(dict.fromkeys(f.turns.base for f in comparison.findings if f.turns))
        how = f"confirmed in turns{f' with {bases}' if bases else ''}" if record.launches else "measured again"
        took = [
            many(record.tests, "test"),
            *([many(record.launches, "launch")] if record.launches else []),
            *([many(record.sessions, "fresh session")] if record.sessions else []),
            format_seconds(record.seconds, 2),
        ]
        yield f"{how}: {', '.join(took)}"
    yield from record.remarks


def acquitted(comparison: Comparison) -> list[Finding]:
    """Cases that the baseline found changed, and that turned out not to be."""
    return [f for f in comparison.findings if f.screened and f.verdict.word == "unchanged"]


def counts(comparison: Comparison) -> str:
    """``5 unchanged, 1 regressed, 2 new; 6 of 6 decided``."""
    words = [word(f) for f in comparison.timed]
    numbers = {
        **{w: words.count(w) for w in WORDS},
        "new": len(comparison.new),
        "vanished": len(comparison.vanished),
        "not measured": len(comparison.unmeasured),
    }
    listed = ", ".join(f"{number} {what}" for what, number in numbers.items() if number)
    return f"{listed or 'no cases'}; {comparison.decided} of {len(comparison.timed)} decided"
