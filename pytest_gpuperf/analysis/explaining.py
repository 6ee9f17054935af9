"""Why each case of a run that regressed or improved did so: what a run and a baseline know of it, put side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain
from statistics import median

import msgspec

from pytest_gpuperf.analysis.causes import Explanation, Side, explain
from pytest_gpuperf.results.records import Accepted, Baseline, Case, Run, Session

NOTHING_KEPT = "not known: neither side keeps kernels of this case (they are kept of calls that run torch)"
MOVED = frozenset({"regressed", "improved"})


def explanations(run: Run, baseline: Baseline, cases: Iterable[str]) -> dict[str, Explanation]:
    """By case."""
    accepted = {a.id: a for a in baseline.cases}
    measured = {c.id: c for c in run.cases}
    before = {s.id: s for s in baseline.sessions}
    now = {s.id: s for s in run.sessions}
    return {
        case: _explained(_accepted(accepted[case], baseline, before), _measured(measured[case], run, now))
        for case in cases
        if case in accepted and case in measured
    }


def unprofiled(run: Run, baseline: Baseline, cases: Iterable[str]) -> set[str]:
    """Those of which the baseline has a profile and the run has none."""
    known = {a.id for a in baseline.cases if a.profile is not None}
    bare = {c.id for c in run.cases if c.profile is None}
    return known & bare & set(cases)


def _explained(before: Side, after: Side) -> Explanation:
    explanation = explain(before, after)
    if before.profile is after.profile is None:
        why = NOTHING_KEPT
    elif before.profile is None:
        why = "not known: the baseline keeps no kernels of this case (gpuperf calibrate does, where torch runs them)"
    elif after.profile is None:
        why = "not known: this run keeps no kernels of this case (--gpuperf-save does, where torch runs them)"
    else:
        return explanation
    return msgspec.structs.replace(explanation, missing=why)


def _accepted(case: Accepted, baseline: Baseline, sessions: Mapping[str, Session]) -> Side:
    clocks = [s.sm_clock for s in case.series if s.sm_clock]
    return Side(
        profile=case.profile,
        seconds=median(chain.from_iterable(s.medians for s in case.series)),
        software=baseline.environment.software,
        sm_clock=median(clocks) if clocks else None,
        canaries=_canaries(sessions[s.session] for s in case.series),
    )


def _measured(case: Case, run: Run, sessions: Mapping[str, Session]) -> Side:
    clocks = [m.sm_clock for m in case.measurements if m.sm_clock]
    return Side(
        profile=case.profile,
        seconds=median(chain.from_iterable(m.samples for m in case.measurements)),
        software=run.environment.software,
        sm_clock=median(clocks) if clocks else None,
        canaries=_canaries(sessions[m.session] for m in case.measurements),
    )


def _canaries(sessions: Iterable[Session]) -> dict[str, float]:
    readings: defaultdict[str, list[float]] = defaultdict(list)
    for session in sessions:
        for name, seconds in session.canaries.items():
            readings[name] += seconds
    return {name: median(seconds) for name, seconds in readings.items()}
