"""Comparing a run with a baseline: the one place that the plugin and the command line share."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import chain
from statistics import median

import msgspec

from pytest_gpuperf.causes.explain import MOVED, explanations
from pytest_gpuperf.comparison.confirmed import confirmed_verdicts, learned
from pytest_gpuperf.comparison.findings import Comparison, Finding, InTurns, Rules
from pytest_gpuperf.comparison.match import Match, match, merged, scalar, stated
from pytest_gpuperf.errors import DeviceError
from pytest_gpuperf.gate.observations import LEAST_MARGIN, Observed, Policy
from pytest_gpuperf.gate.reasons import INTO
from pytest_gpuperf.gate.session_cost import spread_between
from pytest_gpuperf.gate.verdicts import SUITE, find_suspects, judge_suite
from pytest_gpuperf.records.invocation import Invocation
from pytest_gpuperf.records.model import (
    Accepted,
    Baseline,
    Case,
    Environment,
    Measurement,
    MetricKind,
    Rule,
    Run,
    Series,
    Verdict,
    Waiver,
)
from pytest_gpuperf.records.same_device import device_differences, software_changes
from pytest_gpuperf.records.units import METRICS, format_change

_CLOCK_MOVED = 0.02  # of the SM clock: less is the ordinary wander of a card


def compare(
    run: Run,
    baseline: Baseline,
    *,
    name: str,
    rules: Rules | None = None,
    override: Rule | None = None,
    today: date | None = None,
    recorded: str | None = None,
    into: str | None = None,
) -> Comparison:
    """Judge a run, by its sessions and by what it learned of suspects beside the baseline's revisions.

    `override` is the command line's rule, above what each case carries.
    `recorded`: the file that holds this run, if one does; `into`: where a baseline would stand, if `name` is none.
    """
    invocation = run.scope.invocation
    refuse_other_device(run.environment, baseline, name, invocation)
    override = override or Rule()
    joined = match(run, baseline, override)
    screened = _judge(joined)
    confirmed = learned(run, baseline)
    policies = {name: case.policy or Policy() for name, case in joined.evidence["time"].items()}
    verdicts = dict(screened)
    if confirmed is not None:
        spreads = spreads_of(baseline, confirmed.launches)
        verdicts["time"] = confirmed_verdicts(screened["time"], confirmed, policies, spreads)
    unconfirmed: Mapping[MetricKind, Mapping[str, str]] = confirmed.unconfirmed if confirmed is not None else {}
    day = _day(today)
    findings: list[Finding] = []
    for case, (accepted, current) in joined.pairs.items():
        for kind, of_kind in joined.evidence.items():
            if case in of_kind:
                verdict = _capped(verdicts[kind][case], kind, current.measurements)
                verdict = _advising(verdict, into or name, invocation)
                why = unconfirmed.get(kind, {}).get(case)
                if why is not None:  # a suspect that was not measured again may not fail, and must not pass
                    verdict = msgspec.structs.replace(verdict, word="inconclusive", reason=why)
                finding = _finding(kind, accepted, current, verdict, override, day)
                if case in joined.left_out:
                    note = f"some sessions of this run are left out: one {joined.left_out[case]}"
                    finding = msgspec.structs.replace(finding, notes=(*finding.notes, note))
                if verdict.basis == "turns" and confirmed is not None:
                    finding = msgspec.structs.replace(
                        finding,
                        screened=screened[kind][case],
                        turns=InTurns(base=confirmed.base[case], launches=len(confirmed.launches[case])),
                    )
                findings.append(finding)
    return Comparison(
        baseline=name,
        device=run.environment.device,
        changes=tuple(software_changes(baseline.environment.software, run.environment.software)),
        findings=tuple(findings),
        suite=None if any(unconfirmed.values()) else verdicts["time"].get(SUITE),
        new=joined.new,
        vanished=joined.vanished,
        unmeasured=dict(joined.unmeasured),
        expired={a.id: a.waiver for a, _ in joined.pairs.values() if a.waiver and a.waiver.until < day},
        explanations=explanations(run, baseline, moved(findings)),
        rules=rules or Rules(),
        confirmation=run.confirmation if confirmed is not None else None,
        invocation=invocation,
        recorded=recorded,
        into=into,
    )


def _day(today: date | None) -> str:
    return (today or datetime.now(UTC).date()).isoformat()


def spreads_of(baseline: Baseline, cases: Collection[str]) -> dict[str, float]:
    """By how much the accepted sessions of these cases differ: their launches will not differ by less."""
    return {
        case.id: spread_between([Observed(s.session, s.medians) for s in case.series])
        for case in baseline.cases
        if case.id in cases
    }


def moved(findings: Iterable[Finding]) -> list[str]:
    """The cases whose time regressed or improved: what is to be explained."""
    return [f.case for f in findings if f.evidence == "time" and f.verdict.word in MOVED]


def suspects_in(
    run: Run, baseline: Baseline, override: Rule | None = None, today: date | None = None
) -> dict[MetricKind, set[str]]:
    """The cases that one session does not clear, by what they are suspected of: they are measured again.

    A waived case may be slower, so nobody needs to know how much.
    """
    joined = match(run, baseline, override or Rule())
    policy, day = Policy(comparisons=_comparisons(joined)), _day(today)
    waived = {case for case, (accepted, _) in joined.pairs.items() if waiver_of(accepted, day)}
    found: dict[MetricKind, set[str]] = {}
    for kind, cases in joined.evidence.items():
        canaries = joined.canaries if kind == "time" else None
        found[kind] = (find_suspects(cases, canaries, policy) if cases else set()) - waived
    if baseline.provenance != "published":  # measuring again tells no more beside a publication
        capped = {c for c, (_, now) in joined.pairs.items() if _is_wide(now.measurements, LEAST_MARGIN)}
        found["time"] |= capped - waived
    return found


def convicts(run: Run, baseline: Baseline) -> dict[MetricKind, set[str]]:
    """The cases, and the suite, that these sessions by themselves would call regressed, by the kind of evidence."""
    verdicts = _judge(match(run, baseline, Rule()))
    return {kind: {case for case, v in of.items() if v.word == "regressed"} for kind, of in verdicts.items()}


def waiver_of(accepted: Accepted, day: str) -> Waiver | None:
    """A case's waiver, as long as it lasts."""
    return accepted.waiver if accepted.waiver and accepted.waiver.until >= day else None


def _advising(verdict: Verdict, name: str, invocation: Invocation) -> Verdict:
    """With the baseline and the options that the reason's command needs, which the gate does not know."""
    if INTO not in verdict.reason:
        return verdict
    into = f"--into {shlex.quote(name)}{invocation.tail()}"
    return msgspec.structs.replace(verdict, reason=verdict.reason.replace(INTO, into))


def refuse_other_device(here: Environment, baseline: Baseline, name: str, invocation: Invocation | None = None) -> None:
    """Figures of two kinds of device say nothing about the code."""
    differences = device_differences(baseline.environment.device, here.device)
    if differences:
        tail = invocation.tail() if invocation else ""
        raise DeviceError(
            f"{name} was measured on another device: {'; '.join(differences)}. Figures of two kinds of device are "
            f"never compared. Record a baseline for this one: "
            f"gpuperf calibrate --sessions 5 --into baselines/{here.device.slug}.json{tail}"
        )


def _comparisons(joined: Match) -> int:
    return sum(len(cases) for cases in joined.evidence.values())


def _judge(joined: Match) -> Mapping[MetricKind, Mapping[str, Verdict]]:
    """Only time is explained by canaries: they say nothing of memory or energy."""
    policy = Policy(comparisons=_comparisons(joined))
    return {
        kind: judge_suite(cases, joined.canaries if kind == "time" else None, policy) if cases else {}
        for kind, cases in joined.evidence.items()
    }


def _is_wide(measurements: Sequence[Measurement], margin: float) -> bool:
    """Whether the newest measurement ended at its cap, with an interval too wide for the margin."""
    *_, now = measurements
    return now.ended == "cap" and now.interval > margin / 2


def _capped(verdict: Verdict, kind: MetricKind, measurements: Sequence[Measurement]) -> Verdict:
    """A measurement that ended at its cap, too wide for the margin, cannot acquit; a plain change it still shows."""
    *_, now = measurements
    plain = verdict.word == "regressed" or (verdict.word == "improved" and 1 - verdict.ratio > now.interval)
    if kind != "time" or verdict.basis == "turns" or plain or verdict.margin is None:
        return verdict
    if verdict.word in {"machine", "environment"} or not _is_wide(measurements, verdict.margin):
        return verdict
    timed = sum(sum(block) for block in now.blocks) * now.span_calls
    reason = (
        f"sampling stopped at its cap after {timed:.3g} s with the median known to +-{now.interval:.1%} only; "
        f"give it longer with --gpuperf-budget"
    )
    return msgspec.structs.replace(verdict, word="inconclusive", reason=reason)


def _finding(kind: MetricKind, accepted: Accepted, case: Case, verdict: Verdict, override: Rule, day: str) -> Finding:
    metric, tolerance = stated(merged(case.rule, override), kind)
    now = case.measurements
    *_, newest = now
    before = verdict.before or _usual(kind, accepted)
    if len(now) > 1 and verdict.basis == "baseline":
        verdict = msgspec.structs.replace(verdict, basis="fresh sessions")
    return Finding(
        case=accepted.id,
        test=case.test,
        line=case.line,
        evidence=kind,
        metric=metric,
        baseline=_figure(metric, accepted.items, before),
        current=_figure(metric, accepted.items, before * verdict.ratio),
        tolerance=tolerance,
        baseline_sessions=len(accepted.series),
        current_sessions=len(now),
        verdict=verdict,
        waiver=waiver_of(accepted, day),
        notes=(*newest.notes, *(clock_note(accepted.series, now) if kind == "time" else ())),
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


def _usual(kind: MetricKind, accepted: Accepted) -> float:
    """What a case usually took, where nothing could be judged."""
    if kind == "time":
        return median(chain.from_iterable(s.medians for s in accepted.series))
    return float(median(v for s in accepted.series if (v := scalar(s, kind))))


def _figure(metric: str, items: int, cost: float) -> float:
    return items / cost if METRICS[metric].higher_is_better else cost
