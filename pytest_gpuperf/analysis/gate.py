"""The verdict on a whole suite: docs/gate.md says in words what is done here, and how often it is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from pytest_gpuperf.analysis import reasons
from pytest_gpuperf.analysis.evidence import Canaries, CaseEvidence, Observed, Policy
from pytest_gpuperf.analysis.suite import SUITE, Suite
from pytest_gpuperf.results.records import Verdict

__all__ = ["SUITE", "judge", "judge_suite", "suspects"]


def judge_suite(cases: Mapping[str, CaseEvidence], canaries: Canaries | None, policy: Policy) -> dict[str, Verdict]:
    """A verdict for every case, and under `SUITE` for the cases of a larger suite together."""
    found: dict[str, Verdict] = {}
    measured: dict[str, CaseEvidence] = {}
    left_out: dict[str, str] = {}
    for name, case in cases.items():
        if case.published:
            found[name] = reasons.published(case)
            continue
        usable, note = _usable(case)
        if usable is None:
            found[name] = reasons.unusable(note)
            continue
        measured[name] = usable
        if note:
            left_out[name] = note
    if not measured:
        return {name: found[name] for name in cases}
    suite = Suite(measured, canaries, policy)
    for group in suite.groups:
        found |= group.verdicts()
    for name, note in left_out.items():
        found[name] = msgspec.structs.replace(found[name], reason=f"{found[name].reason}; {note}")
    verdicts = {name: found[name] for name in cases}
    whole = suite.verdict()
    if whole is not None:
        verdicts[SUITE] = whole
    return verdicts


def judge(
    baseline_sessions: Sequence[Observed],
    candidate_sessions: Sequence[Observed],
    policy: Policy,
    canaries: Canaries | None = None,
) -> Verdict:
    """One case by itself: nothing is known of the machine but what these sessions show."""
    return judge_suite({"": CaseEvidence(baseline_sessions, candidate_sessions)}, canaries, policy)[""]


def suspects(cases: Mapping[str, CaseEvidence], canaries: Canaries | None, policy: Policy) -> set[str]:
    """The cases to measure again: what the first candidate session neither acquits nor puts beyond mending.

    Where the suite as a whole is suspicious, a bounded number of typical cases too: only fresh data convicts it.
    """
    found: set[str] = set()
    measured: dict[str, CaseEvidence] = {}
    for name, case in cases.items():
        if case.published:
            continue
        usable, _ = _usable(case)
        if usable is None:
            found.add(name)
        else:
            measured[name] = replace(usable, candidate=usable.candidate[:1])
    if not measured:
        return found
    suite = Suite(measured, canaries, policy)
    for group in suite.groups:
        found |= group.suspects()
    return found | suite.suspects(found)


def _usable(case: CaseEvidence) -> tuple[CaseEvidence | None, str]:
    """Without the sessions in a state (throttling) that the other side was never seen in; and what was left out."""
    if not case.baseline or not case.candidate:
        return None, "one side has no session"
    before = {s.state for s in case.baseline}
    now = {s.state for s in case.candidate}
    if before == {None} == now:
        return case, ""
    shared = (before & now) | {None}
    baseline = [s for s in case.baseline if s.state in shared]
    candidate = [s for s in case.candidate if s.state in shared]
    states = ", ".join(sorted(s for s in (before | now) - shared if s is not None))
    if not baseline or not candidate:
        return None, f"every session of one side was in a state the other never was in ({states})"
    dropped = [len(case.baseline) - len(baseline), len(case.candidate) - len(candidate)]
    sides = [f"{n} {side}" for n, side in zip(dropped, ("of the baseline", "of this run"), strict=True) if n]
    note = f"left out for a state the other side never was in ({states}): {' and '.join(sides)}" if sides else ""
    return replace(case, baseline=baseline, candidate=candidate), note
