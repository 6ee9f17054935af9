"""The figures every report shows, in words: one row a case, whatever the format."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from pytest_gpuperf.comparison.findings import Comparison, Finding
from pytest_gpuperf.gate.reasons import PUBLISHED
from pytest_gpuperf.records.model import Case, Measurement, Run, Verdict
from pytest_gpuperf.records.units import (
    KINDS,
    METRICS,
    by_number,
    cost_in_words,
    format_bytes,
    format_change,
    format_percent,
    format_rate,
    format_seconds,
    many,
    significant,
)

NONE = "-"
COMPARED = 4  # digits of figures that stand beside their change: three would not always agree with it
LEVEL = 0.9  # of every interval that is shown
_HEADLINES = {"environment": "is worse with other software", "machine": "is worse on this machine"}
INTERVALS = f"intervals: {LEVEL:.0%}"
WORDS = ("unchanged", "improved", "regressed", "environment", "machine", "waived", "inconclusive", "reference")
TOLERATED = frozenset({"regressed", "environment", "machine"})  # by a waiver
SHORT = 7  # characters of a commit

_FORMATS: Mapping[str, Callable[[float, int], str]] = {
    "items/s": format_rate,
    "s": format_seconds,
    "B": format_bytes,
    "J/item": lambda value, digits: f"{significant(value, digits)} J/item",
}


@dataclass(frozen=True)
class FigureRow:
    """One case of a run, with its findings."""

    case: str
    throughput: str
    latency: str
    time: str  # of one call
    findings: tuple[Finding, ...]  # time first; none where the case was not compared
    new: bool = False

    @property
    def unjudged(self) -> str:
        """What stands in place of a verdict where nothing was compared."""
        return "new" if self.new else "not compared"


@dataclass(frozen=True)
class Line:
    """One line of a judged table: of a case, or of another figure of it than time."""

    name: str | None  # None: the case's own
    finding: Finding | None
    figures: tuple[str, str, str]  # before, now and the change between them


def titles(comparison: Comparison) -> tuple[str, ...]:
    """The columns of a judged table."""
    sides = comparison.sides
    return ("case", *((sides.base, sides.head) if sides else ("before", "now")), "change", "verdict")


def rows(comparison: Comparison | None, run: Run) -> list[FigureRow]:
    """A row for every measured case, by id."""
    findings: dict[str, list[Finding]] = {}
    for finding in comparison.findings if comparison else ():
        findings.setdefault(finding.case, []).append(finding)
    new = frozenset(comparison.new if comparison else ())
    return [
        FigureRow(
            case=case.id,
            throughput=throughput(case),
            latency=latency(case),
            time=format_seconds(median(m.device_time.median for m in case.measurements), COMPARED),
            findings=tuple(sorted(findings.get(case.id, ()), key=lambda f: f.evidence != "time")),
            new=case.id in new,
        )
        for case in sorted(run.cases, key=lambda c: by_number(c.id))
    ]


def lines(row: FigureRow) -> Iterator[Line]:
    """The case's own line, then one of each other figure that is not simply unchanged."""
    if not row.findings:
        yield Line(None, None, (NONE, row.time, NONE))
        return
    first, *others = row.findings
    yield Line(None, first, (*costs(first), change(first.verdict)))
    for other in others:
        if other.verdict.word != "unchanged":
            yield Line(metric_name(other), other, (*costs(other), change(other.verdict)))


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


def figure(metric: str, value: float, digits: int = 3) -> str:
    """A figure with its unit."""
    return _FORMATS[METRICS[metric].unit](value, digits)


def costs(finding: Finding) -> tuple[str, str]:
    """The cost before and now, which agrees with the change beside it: of a throughput, the time of one call."""
    before = finding.verdict.before
    if METRICS[finding.metric].higher_is_better and before is not None:
        return format_seconds(before, COMPARED), format_seconds(before * finding.verdict.ratio, COMPARED)
    return _judged(finding)


def both(finding: Finding) -> tuple[str, str]:
    """The judged figure before and now; of a throughput, the time of one call too."""
    judged, cost = _judged(finding), costs(finding)
    if cost == judged:
        return judged
    return f"{judged[0]}, {cost[0]} a call", f"{judged[1]}, {cost[1]} a call"


def _judged(finding: Finding) -> tuple[str, str]:
    return figure(finding.metric, finding.baseline, COMPARED), figure(finding.metric, finding.current, COMPARED)


def origins(finding: Finding) -> tuple[str, str]:
    """Where its two figures come from."""
    if finding.turns:
        return f"{short(finding.turns.base)}, {many(finding.turns.launches, 'launch')} in turns", "here, in the same"
    return f"{many(finding.baseline_sessions, 'session')} of the baseline", many(finding.current_sessions, "session")


def headline(finding: Finding) -> str:
    """``time per call regressed``."""
    word = finding.verdict.word
    return f"{KINDS[finding.evidence].cost} {_HEADLINES.get(word, word)}"


def tolerance(finding: Finding) -> str:
    """The tolerance in words: of the figure that the test or the command line names."""
    return f"the tolerance is {format_percent(finding.tolerance)} of {metric_name(finding)}"


def has_interval(verdict: Verdict) -> bool:
    """Whether there was evidence enough for one: a publication's figure has none."""
    return 0 < verdict.low < verdict.high < math.inf


def change(verdict: Verdict) -> str:
    """How the cost moved, with the interval: ``+5.8% [+4.1%, +7.4%]``. Above zero is slower, or more."""
    middle = format_change(verdict.ratio)
    if not has_interval(verdict):
        return middle
    return f"{middle} [{format_change(verdict.low)}, {format_change(verdict.high)}]"


def change_in_words(finding: Finding) -> str:
    """The same in words, where there is room; where turns decided, the change against the baseline too.

    ``5.4% slower than the baseline, and 5.1% [4.2%, 6.0%] slower than 3f2a91c in turns, here, now``
    """
    verdict, turns = finding.verdict, finding.turns
    interval = (verdict.low, verdict.high) if has_interval(verdict) else None
    if turns is None or finding.screened is None:
        return cost_in_words(finding.evidence, verdict.ratio, interval)
    against_baseline = cost_in_words(finding.evidence, finding.screened.ratio, beside="the baseline")
    in_turns = cost_in_words(finding.evidence, verdict.ratio, interval, beside=short(turns.base))
    return f"{against_baseline}, and {in_turns} in turns, here, now"


def reason(finding: Finding) -> str:
    """Why it got its verdict; where turns decided, the change against the baseline and in turns too."""
    why = finding.verdict.reason
    return why if finding.turns is None else f"{change_in_words(finding)}; {why}"


def acquitted(comparison: Comparison) -> list[Finding]:
    """Cases that looked changed against the baseline, and are unchanged in turns."""
    return [f for f in comparison.findings if f.turns and f.verdict.word == "unchanged"]


def short(revision: str) -> str:
    """A commit as people write it; any other name as it stands."""
    return revision[:SHORT] if all(c in "0123456789abcdef" for c in revision) else revision


def metric_name(finding: Finding) -> str:
    """The judged figure in words."""
    return finding.metric.replace("_", " ")


def word(finding: Finding) -> str:
    """The verdict as shown: "waived" where a waiver tolerates it for a while."""
    return "waived" if finding.waiver and finding.verdict.word in TOLERATED else finding.verdict.word


def verdict_cell(finding: Finding) -> str:
    """The verdict in a table: ``unchanged within 4.8%``."""
    shown = word(finding)
    return within(finding.verdict) if shown == "unchanged" else shown


def within(verdict: Verdict) -> str:
    """A verdict's word; "unchanged" says within what."""
    if verdict.word != "unchanged" or verdict.margin is None:
        return verdict.word
    return f"unchanged within {format_percent(verdict.margin)}"


def suite_line(verdict: Verdict) -> str:
    """The suite as a whole, with the same words and the same sign as its cases."""
    return f"suite {within(verdict)}, {change(verdict)}: {verdict.reason}"


def tells_intervals(comparison: Comparison) -> bool:
    """Whether the report must say what its intervals are."""
    suite = (comparison.suite,) if comparison.suite else ()
    return any(map(has_interval, (*(f.verdict for f in comparison.findings), *suite)))


def confirmed(comparison: Comparison) -> Iterator[str]:
    """What confirming suspects took, and what a reader must know of it; nothing where nothing was confirmed."""
    took = comparison.confirmation
    if took is None:
        return
    if took.launches or took.sessions:
        counted = [
            many(took.tests, "test"),
            *([many(took.launches, "launch")] if took.launches else ()),
            *([many(took.sessions, "fresh session")] if took.sessions else ()),
        ]
        bases = ", ".join(dict.fromkeys(short(f.turns.base) for f in comparison.findings if f.turns))
        how = f"confirmed in turns{f' with {bases}' if bases else ''}" if took.launches else "confirmed"
        yield f"{how}: {', '.join(counted)}, {took.seconds:.0f} s"
    yield from took.remarks


def published(comparison: Comparison) -> Iterator[str]:
    """What a publication decided, and how measured figures take its place; nothing beside measured ones."""
    count = sum(f.verdict.word == "reference" for f in comparison.timed)
    if count:
        yield (
            f"{many(count, 'case')} at most {PUBLISHED:.0%} slower than a publication says; smaller changes it cannot "
            f"show. Measured figures take its place: `gpuperf calibrate "
            f"--into {shlex.quote(comparison.baseline)}{comparison.invocation.tail()}`"
        )


def margins(comparison: Comparison) -> str:
    """Within what the unchanged cases are: `` within 3%``, `` within 3% to 4.8%``."""
    values = sorted({f.verdict.margin for f in comparison.timed if f.verdict.word == "unchanged" and f.verdict.margin})
    texts = list(dict.fromkeys(format_percent(margin) for margin in values))
    return f" within {' to '.join(dict.fromkeys((texts[0], texts[-1])))}" if texts else ""


def moved_since(reference: Comparison) -> list[Finding]:
    """What is slower or faster than a pinned reference, whatever made it so."""
    return [f for f in reference.findings if f.verdict.word not in {"unchanged", "inconclusive", "reference"}]


def counts(comparison: Comparison) -> str:
    """``5 unchanged, 1 regressed, 2 new; 6 of 6 decided``."""
    words = [word(f) for f in comparison.timed]
    numbers = {
        f"unchanged{margins(comparison)}": words.count("unchanged"),
        **{w: words.count(w) for w in WORDS if w != "unchanged"},
        "new": len(comparison.new),
        "vanished": len(comparison.vanished),
        "not measured": len(comparison.unmeasured),
    }
    listed = ", ".join(f"{number} {what}" for what, number in numbers.items() if number)
    return f"{listed or 'no cases'}; {comparison.decided} of {len(comparison.timed)} decided"
