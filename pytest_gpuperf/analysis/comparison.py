"""Comparing a run with a baseline: the one place that the plugin and the command line share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import chain
from statistics import median

from pytest_gpuperf.analysis import gate
from pytest_gpuperf.analysis.causes import Explanation
from pytest_gpuperf.analysis.evidence import CaseEvidence, Policy
from pytest_gpuperf.analysis.explaining import MOVED, explanations
from pytest_gpuperf.analysis.matching import Match, match, merged, stated
from pytest_gpuperf.analysis.sides import Sides
from pytest_gpuperf.errors import DeviceError
from pytest_gpuperf.results.identity import device_differences, software_changes
from pytest_gpuperf.results.records import (
    Accepted,
    Baseline,
    Case,
    Device,
    Environment,
    EvidenceKind,
    Measurement,
    Record,
    Rule,
    Run,
    Series,
    Verdict,
    Waiver,
)
from pytest_gpuperf.results.units import METRICS, format_change, many

_CLOCK_MOVED = 0.02  # of the SM clock: less is the ordinary wander of a card
DECIDED = frozenset({"regressed", "improved", "unchanged"})


class Finding(Record, frozen=True, kw_only=True):
    """The verdict on one figure of one case, with what is shown beside it."""

    case: str
    test: str
    line: int | None = None
    evidence: EvidenceKind
    metric: str  # the figure shown for this evidence: "throughput", "peak_memory", "energy"
    baseline: float  # in the metric's unit
    current: float
    tolerance: float  # of the metric, as a fraction
    baseline_sessions: int
    current_sessions: int
    verdict: Verdict
    waiver: Waiver | None = None
    notes: tuple[str, ...] = ()

    @property
    def fails(self) -> bool:
        """Whether this finding alone fails the session."""
        return self.verdict.word == "regressed" and self.waiver is None


class Rules(Record, frozen=True, kw_only=True):
    """What makes a whole comparison fail."""

    strict: bool = False  # inconclusive fails
    allow_missing: bool = False  # vanished and unmeasured cases do not fail
    min_decided: float = 0.8  # the share of compared cases that must get a verdict


class Comparison(Record, frozen=True, kw_only=True):
    """One run judged against one baseline: what every report is made from."""

    baseline: str  # where the baseline came from: a path
    device: Device
    changes: tuple[str, ...] = ()  # soft differences of the environment: "torch 2.13.0 -> 2.15.0"
    findings: tuple[Finding, ...]  # by case
    suite: Verdict | None = None  # of the suite as a whole, beyond what the canaries explain
    new: tuple[str, ...] = ()  # cases the baseline does not know
    vanished: tuple[str, ...] = ()  # cases of the baseline that are in scope and gone
    unmeasured: dict[str, str] = {}  # cases of the baseline whose tests ran but measured nothing -> why
    expired: dict[str, Waiver] = {}  # waivers whose day has passed
    explanations: dict[str, Explanation] = {}  # why, by case: of those that regressed or improved
    rules: Rules = Rules()
    sides: Sides | None = None  # two revisions in turns, and not a run beside a baseline

    @property
    def timed(self) -> tuple[Finding, ...]:
        """One finding a case: what counts as compared and decided."""
        return tuple(f for f in self.findings if f.evidence == "time")

    @property
    def decided(self) -> int:
        """How many of the compared cases got a verdict."""
        return sum(f.verdict.word in DECIDED for f in self.timed)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the session fails, a sentence each; empty where it does not."""
        return tuple(sentence for _, sentence in self._problems())

    @property
    def exit_code(self) -> int:
        """1 regressed, vanished, unmeasured; 6 nothing compared; 7 too little decided; else 0."""
        return next((code for code, _ in self._problems()), 0)

    def _problems(self) -> list[tuple[int, str]]:
        found = [(1, sentence) for sentence in (self.sides.problems if self.sides else ())]
        regressed = sum(f.fails for f in self.findings)
        if regressed:
            found.append((1, f"{regressed} of {len(self.findings)} compared figures regressed."))
        if self.suite is not None and self.suite.word == "regressed":
            found.append((1, f"The suite as a whole regressed: {self.suite.reason}"))
        found += [
            (1, f"The waiver of {case} ended on {waiver.until}. Renew it or mend the case, then: gpuperf waive --help")
            for case, waiver in self.expired.items()
        ]
        open_cases = [f for f in self.timed if f.verdict.word == "inconclusive"]
        if self.rules.strict and open_cases:
            found.append((1, f"{len(open_cases)} of {len(self.timed)} cases are inconclusive, and strict is on."))
        if not self.rules.allow_missing:
            found += self._missing()
        share = self.rules.min_decided
        if not self.timed:
            none = "neither has a case of the other" if self.sides else f"no case of this run is in {self.baseline}"
            found.append((6, f"Nothing was compared: {none}."))
        elif self.decided < share * len(self.timed):
            count = f"{self.decided} of {len(self.timed)} compared cases got a verdict"
            found.append((7, f"{count}; at least {share:.0%} must. {self._advice}"))
        return found

    @property
    def _advice(self) -> str:
        """What lets more cases be decided on this machine."""
        if self.sides:
            return "Let more launches tell: --budget SECONDS; or give noisy cases a margin."
        return "Each inconclusive case says what would decide it."

    def _missing(self) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = []
        if self.vanished:
            what = (
                f"{many(len(self.vanished), 'case')} of {'the baseline' if not self.sides else self.baseline} vanished"
            )
            how = (
                "allow it: --allow-missing"
                if self.sides
                else f"drop them: gpuperf accept RUN --into {self.baseline} --prune"
            )
            found.append((1, f"{what}. If that is meant, {how}"))
        if self.unmeasured:
            found.append((1, f"Not measured: {many(len(self.unmeasured), 'case')} of the baseline."))
        return found


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
