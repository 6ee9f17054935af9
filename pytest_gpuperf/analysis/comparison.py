"""Comparing a run with a baseline: the one place that the plugin and the command line share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import chain
from statistics import median

from pytest_gpuperf.analysis import gate
from pytest_gpuperf.analysis.evidence import CaseEvidence, Policy
from pytest_gpuperf.analysis.explaining import MOVED, explanations
from pytest_gpuperf.analysis.findings import Comparison, Finding, Rules
from pytest_gpuperf.analysis.matching import Match, match, merged, stated
from pytest_gpuperf.errors import DeviceError
from pytest_gpuperf.results.identity import device_differences, software_changes
from pytest_gpuperf.results.records import (
    Accepted,
    Baseline,
    Case,
    Environment,
    EvidenceKind,
    Measurement,
    Rule,
    Run,
    Series,
    Verdict,
)
from pytest_gpuperf.results.units import METRICS, format_change

_CLOCK_MOVED = 0.02  # of the SM clock: less is the ordinary wander of a card


def compare(
    run: Run,
    baseline: Baseline,
    *,
    name: str,
    rules: Rules | None = None,
    override: Rule | None = None,
    today: date | None = None,
) -> Comparison:
    """Judge a run. `override` is the command line's rule, above what each case carries."""
    refuse_other_device(run.environment, baseline, name)
    override = override or Rule()
    joined = match(run, baseline, override)
    verdicts = _judge(joined)
    day = (today or datetime.now(UTC).date()).isoformat()
    findings: list[Finding] = []
    for case, (accepted, current) in joined.pairs.items():
        for kind, of_kind in joined.evidence.items():
            if case in of_kind:
                verdict = _capped(verdicts[kind][case], kind, of_kind[case], current.measurements[-1])
                findings.append(_finding(kind, accepted, current, verdict, override, day))
    return Comparison(
        baseline=name,
        device=run.environment.device,
        changes=tuple(software_changes(baseline.environment.software, run.environment.software)),
        findings=tuple(findings),
        suite=verdicts["time"].get(gate.SUITE),
        new=joined.new,
        vanished=joined.vanished,
        unmeasured=dict(joined.unmeasured),
        expired={a.id: a.waiver for a, _ in joined.pairs.values() if a.waiver and a.waiver.until < day},
        explanations=explanations(run, baseline, moved(findings)),
        rules=rules or Rules(),
    )


def moved(findings: Iterable[Finding]) -> list[str]:
    """The cases whose time regressed or improved: what is to be explained."""
    return [f.case for f in findings if f.evidence == "time" and f.verdict.word in MOVED]


def suspects(run: Run, baseline: Baseline, override: Rule | None = None) -> set[str]:
    """The cases that one session makes suspicious: they are measured again before they may fail."""
    joined = match(run, baseline, override or Rule())
    total = _comparisons(joined)
    return {
        case
        for kind, cases in joined.evidence.items()
        if cases
        for case in gate.suspects(cases, joined.canaries if kind == "time" else None, Policy(comparisons=total))
    }


def refuse_other_device(here: Environment, baseline: Baseline, name: str) -> None:
    """Figures of two kinds of device say nothing about the code."""
    differences = device_differences(baseline.environment.device, here.device)
    if differences:
        raise DeviceError(
            f"{name} was measured on another device: {'; '.join(differences)}. Figures of two kinds of device are "
            f"never compared. Record a baseline for this one: "
            f"gpuperf calibrate --sessions 5 --into baselines/{here.device.slug}.json -- PYTEST-ARGUMENTS"
        )


def _comparisons(joined: Match) -> int:
    return sum(len(cases) for cases in joined.evidence.values())


def _judge(joined: Match) -> Mapping[EvidenceKind, Mapping[str, Verdict]]:
    """Only time is explained by canaries: they say nothing of memory or energy."""
    policy = Policy(comparisons=_comparisons(joined))
    return {
        kind: gate.judge_suite(cases, joined.canaries if kind == "time" else None, policy) if cases else {}
        for kind, cases in joined.evidence.items()
    }


def _capped(verdict: Verdict, kind: EvidenceKind, evidence: CaseEvidence, now: Measurement) -> Verdict:
    """A measurement that ended at its cap, too wide to tell the margin, cannot acquit; what is plain it still tells."""
    margin = (evidence.policy or Policy()).unchanged_below
    plain = verdict.word == "regressed" or (verdict.word == "improved" and 1 - verdict.ratio > now.interval)
    if kind != "time" or now.ended != "cap" or now.interval <= margin / 2 or plain:
        return verdict
    timed = sum(sum(block) for block in now.blocks) * now.span_calls
    reason = (
        f"sampling stopped at its cap after {timed:.3g} s with the median known to +-{now.interval:.1%} only; "
        f"give it longer with --gpuperf-budget"
    )
    return Verdict(
        word="inconclusive",
        ratio=verdict.ratio,
        low=verdict.low,
        high=verdict.high,
        reason=reason,
        detectable=verdict.detectable,
    )


def _finding(kind: EvidenceKind, accepted: Accepted, case: Case, verdict: Verdict, override: Rule, day: str) -> Finding:
    metric, tolerance = stated(merged(case.rule, override), kind)
    now = case.measurements
    if kind == "time":
        before = _figure(metric, accepted.items, median(chain.from_iterable(s.medians for s in accepted.series)))
        after = _figure(metric, accepted.items, median(chain.from_iterable(m.samples for m in now)))
    elif kind == "peak_memory":
        before = float(median(s.peak_memory for s in accepted.series if s.peak_memory))
        after = float(median(m.peak_memory for m in now if m.peak_memory))
    else:
        before = median(s.energy for s in accepted.series if s.energy)
        after = median(m.energy for m in now if m.energy)
    waiver = accepted.waiver if accepted.waiver and accepted.waiver.until >= day else None
    return Finding(
        case=accepted.id,
        test=case.test,
        line=case.line,
        evidence=kind,
        metric=metric,
        baseline=before,
        current=after,
        tolerance=tolerance,
        baseline_sessions=len(accepted.series),
        current_sessions=len(now),
        verdict=verdict,
        waiver=waiver,
        notes=(*now[-1].notes, *(clock_note(accepted.series, now) if kind == "time" else ())),
    )


def clock_note(series: Sequence[Series], now: Sequence[Measurement]) -> tuple[str, ...]:
    """That the card ran at another clock. It explains a figure and excuses none: work that draws more lowers it."""
    before = [s.sm_clock for s in series if s.sm_clock]
    after = [m.sm_clock for m in now if m.sm_clock]
    if not before or not after:
        return ()
    ratio = median(after) / median(before)
    if abs(ratio - 1) < _CLOCK_MOVED:
        return ()
    return (f"SM clock {median(after):.0f} MHz, {median(before):.0f} MHz in the baseline ({format_change(ratio)})",)


def _figure(metric: str, items: int, seconds: float) -> float:
    return items / seconds if METRICS[metric].higher_is_better else seconds
