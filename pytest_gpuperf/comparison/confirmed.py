"""What measuring suspects again brought, and what that makes of their verdicts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from pytest_gpuperf.gate.inside_suite import SUITE_FROM
from pytest_gpuperf.gate.observations import Policy
from pytest_gpuperf.gate.side_by_side import LOOKS, AnyLaunch, judge_paired_suite, judge_paired_whole
from pytest_gpuperf.gate.suite import SUITE
from pytest_gpuperf.records.model import Baseline, MetricKind, Run, Verdict, Word
from pytest_gpuperf.records.same_device import software_changes
from pytest_gpuperf.records.units import cost_in_words

_SHOWN = 10  # letters of a commit
_OPEN = frozenset({"regressed", "improved", "inconclusive"})  # words that the machine, or other software, may explain


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """What was learned of suspects beside one baseline, by case; the run holds their fresh sessions."""

    base: Mapping[str, str] = field(default_factory=dict[str, str])  # case -> the revision it took turns with
    launches: Mapping[str, Sequence[AnyLaunch]] = field(
        default_factory=dict[str, Sequence[AnyLaunch]]
    )  # ... and what they measured
    same_code: Mapping[str, str] = field(default_factory=dict[str, str])  # case -> revision: no code differs from it
    software: tuple[str, ...] = ()  # versions that changed since: "torch 2.13.0 -> 2.15.0"
    not_in_turns: Mapping[str, str] = field(default_factory=dict[str, str])  # case -> why turns could not be run
    unconfirmed: Mapping[MetricKind, Mapping[str, str]] = field(  # case -> why nothing could be measured
        default_factory=dict[MetricKind, Mapping[str, str]]
    )


def learned(run: Run, baseline: Baseline) -> Confirmed | None:
    """What the run learned beside the revisions that this baseline's cases were recorded at.

    None where it learned nothing beside them: so a run can be judged again, beside this baseline or another.
    """
    beside = {b.revision: b for b in run.beside}
    held = [(case, beside[at]) for case, at in recorded_at(baseline).items() if at in beside]
    if not held:
        return None
    unconfirmed: dict[MetricKind, dict[str, str]] = {}
    for case, b in held:
        for kind, why in b.unconfirmed.items():
            if case in why:
                unconfirmed.setdefault(kind, {})[case] = why[case]
    same = {case: shown(b.revision) for case, b in held if case in b.same_code}
    return Confirmed(
        base={case: shown(b.revision) for case, b in held if case in b.launches},
        launches={case: b.launches[case] for case, b in held if case in b.launches},
        same_code=same,
        software=software_beside(run, baseline, same),
        not_in_turns={case: b.not_in_turns[case] for case, b in held if case in b.not_in_turns},
        unconfirmed=unconfirmed,
    )


def recorded_at(baseline: Baseline) -> dict[str, str | None]:
    """The revision that each case's newest accepted session measured."""
    sessions = {s.id: s.revision for s in baseline.sessions}
    return {a.id: sessions[a.series[-1].session] for a in baseline.cases}


def shown(revision: str | None) -> str:
    """A revision as it stands in messages."""
    return (revision or "")[:_SHOWN]


def software_beside(run: Run, baseline: Baseline, cases: Collection[str]) -> tuple[str, ...]:
    """What is installed otherwise than when these cases were recorded."""
    named = software_changes(baseline.environment.software, run.environment.software)
    if named:
        return tuple(named)
    first, *_ = run.sessions
    sessions = {s.id: s for s in baseline.sessions}
    before = {sessions[a.series[-1].session].packages for a in baseline.cases if a.id in cases} - {None}
    return ("other installed packages",) if first.packages and before - {first.packages} else ()


def confirmed_verdicts(
    verdicts: Mapping[str, Verdict],
    confirmed: Confirmed,
    policies: Mapping[str, Policy],
    known: Mapping[str, float] | None = None,
) -> dict[str, Verdict]:
    """The verdicts on time, where turns or the code itself know better than the baseline."""
    found = dict(verdicts)
    found |= in_turns(confirmed.launches, policies, known)
    whole = _whole(verdicts.get(SUITE), confirmed, policies)
    if whole is not None:
        found[SUITE] = whole
    for case, revision in confirmed.same_code.items():
        if case in found:
            found[case] = _same_code(found[case], revision, confirmed.software)
    for case, why in confirmed.not_in_turns.items():
        if case in found:
            found[case] = msgspec.structs.replace(found[case], reason=f"{found[case].reason}. It took no turns: {why}")
    return found


def in_turns(
    launches: Mapping[str, Sequence[AnyLaunch]],
    policies: Mapping[str, Policy],
    known: Mapping[str, float] | None = None,
) -> dict[str, Verdict]:
    """The verdicts of cases that took turns.

    They were chosen by other evidence than these launches, so the confidence is that of these cases, and not of all
    that were compared. Each look at the launches is one more chance to be wrong.
    """
    comparisons = len(launches) * len(LOOKS)
    own = {name: policies.get(name, Policy()) for name in launches}
    return judge_paired_suite(launches, Policy(comparisons=comparisons), own, known)


def _whole(screened: Verdict | None, confirmed: Confirmed, policies: Mapping[str, Policy]) -> Verdict | None:
    """The suite's verdict: where it looked changed, what the cases that took turns say of it together."""
    if screened is None or screened.word not in _OPEN:
        return None
    if len(confirmed.launches) >= SUITE_FROM:
        own = [policies.get(name, Policy()) for name in confirmed.launches]
        tolerance = sorted(p.tolerance for p in own)[len(own) // 2]
        verdict = judge_paired_whole(
            confirmed.launches, replace(Policy(), tolerance=tolerance, comparisons=len(LOOKS) * (len(own) + 1))
        )
        if verdict is not None:
            count = len(confirmed.launches)
            change = cost_in_words("time", screened.ratio, beside="the baseline")
            reason = f"the middle of {count} cases is {change}; {verdict.reason}"
            return msgspec.structs.replace(verdict, reason=reason)
    if confirmed.same_code and not confirmed.launches:
        return _same_code(screened, next(iter(confirmed.same_code.values())), confirmed.software)
    return None


def _same_code(verdict: Verdict, revision: str, software: Sequence[str]) -> Verdict:
    if verdict.word not in _OPEN or (software and verdict.word == "inconclusive"):
        return verdict  # other software may fail a session, so it takes proof like code does
    word: Word = "environment" if software else "machine"
    cause = f"other software does that ({', '.join(software)})" if software else "the machine does that"
    reason = f"no code changed since {revision}, so {cause}: {verdict.reason}"
    return msgspec.structs.replace(verdict, word=word, reason=reason)
