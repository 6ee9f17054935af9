"""Joining a run with a baseline: what can be judged, what is new, what vanished, what was not measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import expm1
from typing import get_args

import msgspec

from pytest_gpuperf.gate.compaction import block_medians
from pytest_gpuperf.gate.observations import DEFAULT_TOLERANCE, MARGIN_CAP, CaseEvidence, Observed, Policy
from pytest_gpuperf.records.model import (
    Accepted,
    Baseline,
    Case,
    Environment,
    Measurement,
    MetricKind,
    Rule,
    Run,
    Scope,
    Series,
    Session,
)
from pytest_gpuperf.records.same_device import changed_software
from pytest_gpuperf.records.units import KINDS, METRICS, log_tolerance

SCALARS: tuple[MetricKind, ...] = tuple(kind for kind in get_args(MetricKind) if kind != "time")  # one figure a session

_CANARIES_RUN_ON = {"cpu": {"numpy"}, "cuda": {"torch", "cuda", "driver"}}
_LOOP_RUNS_ON = {"python"}  # the host's, on any device


@dataclass(frozen=True)
class Match:
    """A run beside a baseline."""

    pairs: Mapping[str, tuple[Accepted, Case]]  # by case id: what both know
    evidence: Mapping[MetricKind, Mapping[str, CaseEvidence]]
    canaries: Mapping[str, Mapping[str, tuple[float, ...]]]
    new: tuple[str, ...]
    vanished: tuple[str, ...]
    unmeasured: Mapping[str, str]
    left_out: Mapping[str, str]  # cases of which some sessions are another measurement -> what differs


@dataclass(frozen=True)
class _When:
    """Session headers by id, with their times parsed once."""

    headers: Mapping[str, Session]
    times: Mapping[str, float] = field(default_factory=dict[str, float])

    @classmethod
    def of(cls, *groups: tuple[Session, ...]) -> _When:
        headers = {s.id: s for group in groups for s in group}
        return cls(headers, {i: epoch(s.time) for i, s in headers.items()})

    def observed(self, record: Series | Measurement, medians: tuple[float, ...]) -> Observed:
        session = record.session
        return Observed(session, medians, self.times[session], self.headers[session].card, record.state)


def epoch(time: str) -> float:
    """A record's time as seconds since the epoch."""
    return datetime.strptime(time, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()


def match(run: Run, baseline: Baseline, override: Rule) -> Match:
    """Join by case id. Figures of another count of items, or another clock, are not the same measurement."""
    accepted = {a.id: a for a in baseline.cases}
    measured = {c.id: c for c in run.cases}
    pairs: dict[str, tuple[Accepted, Case]] = {}
    left_out: dict[str, str] = {}
    for name in sorted(accepted.keys() & measured.keys()):
        case, differences = measured[name], [_difference(accepted[name], m) for m in measured[name].measurements]
        same = tuple(m for m, what in zip(case.measurements, differences, strict=True) if what is None)
        if same:
            pairs[name] = accepted[name], msgspec.structs.replace(case, measurements=same)
        if len(same) < len(differences):
            left_out[name] = next(what for what in reversed(differences) if what)
    unmeasured = {name: what for name, what in left_out.items() if name not in pairs}
    vanished: list[str] = []
    for name in sorted(accepted.keys() - measured.keys()):
        reason = _why_unmeasured(run.scope, accepted[name].test)
        if reason is not None:
            unmeasured[name] = reason
        elif covers(run.scope, accepted[name].test):
            vanished.append(name)
    when = _When.of(baseline.sessions, run.sessions)
    return Match(
        pairs=pairs,
        evidence=_evidence(pairs, when, override, run.environment.device.kind, baseline.provenance == "published"),
        canaries=_witnesses(when.headers, run.environment, baseline.environment),
        new=tuple(sorted(measured.keys() - accepted.keys())),
        vanished=tuple(vanished),
        unmeasured=unmeasured,
        left_out={name: what for name, what in left_out.items() if name in pairs},
    )


def _witnesses(
    headers: Mapping[str, Session], now: Environment, then: Environment
) -> dict[str, dict[str, tuple[float, ...]]]:
    """The readings of each session's canaries, without those that run on other versions now: they would show these."""
    changed = changed_software(then.software, now.software)
    on_device = _CANARIES_RUN_ON[now.device.kind]
    return {
        session: {
            canary: readings
            for canary, readings in header.canaries.items()
            if (_LOOP_RUNS_ON if canary == "loop" else on_device).isdisjoint(changed)
        }
        for session, header in headers.items()
    }


def covers(scope: Scope, test: str) -> bool:
    """Whether a test belongs to what the invocation asked for: in its paths, and not left out by a filter."""
    if scope.parts:
        return any(covers(part, test) for part in scope.parts)
    file = test.split("::", 1)[0]
    return (
        any(_within(file, path) for path in scope.paths)
        and not any(_within(file, path) for path in scope.ignored)
        and test not in scope.deselected
    )


def _why_unmeasured(scope: Scope, test: str) -> str | None:
    """Why a test that is there was not measured; None: nothing is known of it."""
    file = test.split("::", 1)[0]
    scopes = (scope, *scope.parts)
    return scope.unmeasured.get(test) or next((s.skipped[file] for s in scopes if file in s.skipped), None)


def _within(file: str, path: str) -> bool:
    return path in {".", file} or file.startswith(path.rstrip("/") + "/")


def _difference(accepted: Accepted, now: Measurement) -> str | None:
    if accepted.items != now.items:
        return f"counts {now.items} items a call, its baseline {accepted.items}, so it is not compared: accept it anew"
    if accepted.clock != now.clock:
        clocks = f"is timed by the {now.clock} clock, its baseline by {accepted.clock}"
        return f"{clocks}, so it is not compared: accept it anew"
    return None


def merged(rule: Rule, override: Rule) -> Rule:
    """A test's rule under a command line's: what the command line says of an evidence replaces what the test says."""
    kinds = {METRICS[m].kind for m in override.tolerance}
    rest = {m: t for m, t in rule.tolerance.items() if METRICS[m].kind not in kinds}
    return Rule(
        tolerance=rest | override.tolerance,
        margin=rule.margin if override.margin is None else override.margin,
        margin_cap=rule.margin_cap if override.margin_cap is None else override.margin_cap,
    )


def stated(rule: Rule, kind: MetricKind) -> tuple[str, float]:
    """The metric a rule names for an evidence, and its tolerance; the default where it names none."""
    for metric, fraction in rule.tolerance.items():
        if metric == "latency":  # one evidence with throughput, and shown as that: the two clocks are never mixed
            metric, fraction = "throughput", fraction / (1 + fraction)  # noqa: PLW2901 - the same rule in other words
        if METRICS[metric].kind == kind:
            return metric, fraction
    return KINDS[kind].metric, DEFAULT_TOLERANCE


def policy_of(rule: Rule, kind: MetricKind) -> Policy:
    """How a rule has an evidence judged."""
    metric, fraction = stated(rule, kind)
    cap = MARGIN_CAP if rule.margin_cap is None else rule.margin_cap
    return Policy(tolerance=expm1(log_tolerance(metric, fraction)), margin=rule.margin, margin_cap=cap)


def _evidence(
    pairs: Mapping[str, tuple[Accepted, Case]], when: _When, override: Rule, device: str, published: bool
) -> dict[MetricKind, dict[str, CaseEvidence]]:
    found: dict[MetricKind, dict[str, CaseEvidence]] = {kind: {} for kind in get_args(MetricKind)}
    for name, (accepted, case) in pairs.items():
        rule = merged(case.rule, override)
        found["time"][name] = CaseEvidence(
            baseline=[when.observed(s, s.medians) for s in accepted.series],
            candidate=[when.observed(m, block_medians(m.samples)) for m in case.measurements],
            policy=policy_of(rule, "time"),
            published=published,
        )
        for kind in SCALARS:
            # The resident set of a CPU process wanders by itself: it is judged where a test asks for it.
            if kind != "peak_memory" or device == "cuda" or kind in rule.tolerance:
                _add_scalar(found[kind], kind, name, accepted, case, rule, when, published=published)
    return found


def _add_scalar(
    found: dict[str, CaseEvidence],
    kind: MetricKind,
    name: str,
    accepted: Accepted,
    case: Case,
    rule: Rule,
    when: _When,
    *,
    published: bool,
) -> None:
    baseline = [when.observed(s, (v,)) for s in accepted.series if (v := scalar(s, kind))]
    candidate = [when.observed(m, (v,)) for m in case.measurements if (v := scalar(m, kind))]
    if baseline and candidate:
        found[name] = CaseEvidence(baseline, candidate, policy_of(rule, kind), published, kind)


def scalar(record: Series | Measurement, kind: MetricKind) -> float | None:
    """A session's one figure of a kind; None where it was not measured."""
    value: float | None = getattr(record, kind)
    return value
