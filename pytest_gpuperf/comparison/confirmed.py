"""What measuring suspects again showed, and how that changes their verdicts."""

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

_LETTERS = 10  # of a commit's name, in messages
# Words that may be due to the machine, or to other software, and not to the code.
_QUESTIONABLE = frozenset({"regressed", "improved", "inconclusive"})


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """What measuring suspects again showed, beside one baseline. The run, not this, holds their fresh sessions."""

    base: Mapping[str, str] = field(default_factory=dict[str, str])  # case -> the revision that it took turns with
    launches: Mapping[str, Sequence[AnyLaunch]] = field(
        default_factory=dict[str, Sequence[AnyLaunch]]
    )  # ... and what was measured in those turns
    same_code: Mapping[str, str] = field(default_factory=dict[str, str])  # case -> revision: no code differs from it
    software: tuple[str, ...] = ()  # what changed since the baseline: "torch 2.13.0 -> 2.15.0"
    not_in_turns: Mapping[str, str] = field(default_factory=dict[str, str])  # case -> why it took no turns
    unconfirmed: Mapping[MetricKind, Mapping[str, str]] = field(  # case -> why it could not be measured again
        default_factory=dict[MetricKind, Mapping[str, str]]
    )


def learned(run: Run, baseline: Baseline) -> Confirmed | None:
    """What the run learned of this baseline's cases, beside the revisions that they were recorded at; None if nothing.

    The run keeps this by revision, so that it can be judged again, beside this baseline or another.
    """
    by_revision = {b.revision: b for b in run.beside}
    pairs = [(case, by_revision[at]) for case, at in recorded_at(baseline).items() if at in by_revision]
    if not pairs:
        return None
    unconfirmed: dict[MetricKind, dict[str, str]] = {}
    for case, b in pairs:
        for kind, why in b.unconfirmed.items():
            if case in why:
                unconfirmed.setdefault(kind, {})[case] = why[case]
    same_code = {case: shown(b.revision) for case, b in pairs if case in b.same_code}
    return Confirmed(
        base={case: shown(b.revision) for case, b in pairs if case in b.launches},
        launches={case: b.launches[case] for case, b in pairs if case in b.launches},
        same_code=same_code,
        software=software_beside(run, baseline, same_code),
        not_in_turns={case: b.not_in_turns[case] for case, b in pairs if case in b.not_in_turns},
        unconfirmed=unconfirmed,
    )


def recorded_at(baseline: Baseline) -> dict[str, str | None]:
    """The revision that each case's newest accepted session measured."""
    revisions = {s.id: s.revision for s in baseline.sessions}
    return {a.id: revisions[a.series[-1].session] for a in baseline.cases}


def shown(revision: str | None) -> str:
    """A revision as messages show it."""
    return (revision or "")[:_LETTERS]


def software_beside(run: Run, baseline: Baseline, cases: Collection[str]) -> tuple[str, ...]:
    """What is installed otherwise than when the baseline was recorded, in words.

    Named versions (of torch, of the driver) come first. Only where these are the same, everything that is installed is
    compared, with what was installed in the newest sessions of these cases.
    """
    changed_versions = software_changes(baseline.environment.software, run.environment.software)
    if changed_versions:
        return tuple(changed_versions)
    first, *_ = run.sessions
    sessions = {s.id: s for s in baseline.sessions}
    packages_before = {sessions[a.series[-1].session].packages for a in baseline.cases if a.id in cases} - {None}
    return ("other installed packages",) if first.packages and packages_before - {first.packages} else ()


def confirmed_verdicts(
    verdicts: Mapping[str, Verdict],
    confirmed: Confirmed,
    policies: Mapping[str, Policy],
    known: Mapping[str, float] | None = None,
) -> dict[str, Verdict]:
    """The verdicts on time, replaced where turns, or code that did not change, tell more than the sessions do.

    `known`: by how much the baseline's sessions of a case differ.
    """
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

    Other evidence than these launches chose the cases. So the confidence is shared among these cases, and not among
    all that were compared. Each look at the launches counts as one more comparison: it is one more chance to be wrong.
    """
    comparisons = len(launches) * len(LOOKS)
    own_policies = {name: policies.get(name, Policy()) for name in launches}
    return judge_paired_suite(launches, Policy(comparisons=comparisons), own_policies, known)


def _whole(screened: Verdict | None, confirmed: Confirmed, policies: Mapping[str, Policy]) -> Verdict | None:
    """What replaces the suite's screened verdict, where that is questionable; None: the screened verdict stands.

    Where enough cases took turns, they say it together.
    """
    if screened is None or screened.word not in _QUESTIONABLE:
        return None
    if len(confirmed.launches) >= SUITE_FROM:
        own_policies = [policies.get(name, Policy()) for name in confirmed.launches]
        tolerance = sorted(p.tolerance for p in own_policies)[len(own_policies) // 2]
        verdict = judge_paired_whole(
            confirmed.launches, replace(Policy(), tolerance=tolerance, comparisons=len(LOOKS) * (len(own_policies) + 1))
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
    if verdict.word not in _QUESTIONABLE or (software and verdict.word == "inconclusive"):
        return verdict  # *environment* may fail a session, so it takes the same proof as changed code
    word: Word = "environment" if software else "machine"
    cause = f"other software does that ({', '.join(software)})" if software else "the machine does that"
    reason = f"no code changed since {revision}, so {cause}: {verdict.reason}"
    return msgspec.structs.replace(verdict, word=word, reason=reason)
