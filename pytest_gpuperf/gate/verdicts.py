"""The verdict on a whole suite: docs/gate.md says in words what is done here, and how often it is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from pytest_gpuperf.gate import reasons
from pytest_gpuperf.gate.observations import Canaries, CaseEvidence, Observed, Policy
from pytest_gpuperf.gate.suite import SUITE, Suite
from pytest_gpuperf.records.model import Verdict

__all__ = ["SUITE", "find_suspects", "judge", "judge_suite"]


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
    found |= suite.verdicts()
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


def find_suspects(cases: Mapping[str, CaseEvidence], canaries: Canaries | None, policy: Policy) -> set[str]:
    """The cases to measure again: all that the first session does not clear.

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
    return found | Suite(measured, canaries, policy).find_suspects()


def _usable(case: CaseEvidence) -> tuple[CaseEvidence | None, str]:
    """The sessions of one state that both sides ran in, and a note of what was left out.

    A throttled session compared with those of a card that ran free would be a verdict on the card.
    """
    if not case.baseline or not case.candidate:
        return None, "one side has no session: nothing to compare"
    if all(s.state is None for side in (case.baseline, case.candidate) for s in side):
        return case, ""
    before, now = (Counter(s.state for s in side) for side in (case.baseline, case.candidate))
    shared = before.keys() & now.keys()
    if not shared:
        return None, (
            f"this run's sessions ran in {_states(now)}, the baseline's in {_states(before)}: two machines, not two "
            f"revisions. Measure again when that has passed, or record a baseline in that state: gpuperf calibrate"
        )
    state = None if None in shared else max(sorted(filter(None, shared)), key=lambda s: min(before[s], now[s]))
    notes = [] if state is None else [f"both sides in the state: {state}"]
    away = [before.total() - before[state], now.total() - now[state]]
    sides = [f"{n} {side}" for n, side in zip(away, ("of the baseline", "of this run"), strict=True) if n]
    if sides:
        others = Counter(s for s in (before | now).elements() if s != state)
        notes.append(f"left out for another state ({_states(others)}): {' and '.join(sides)}")
    baseline = [s for s in case.baseline if s.state == state]
    candidate = [s for s in case.candidate if s.state == state]
    return replace(case, baseline=baseline, candidate=candidate), "; ".join(notes)


def _states(states: Counter[str | None]) -> str:
    return ", ".join(sorted(state or "no slow-down" for state in states))
