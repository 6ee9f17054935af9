"""Why a case runs at another speed: profiles, clocks and environments of both sides -> causes, the likeliest first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from statistics import median
from typing import Literal

import msgspec
from msgspec import structs

from pytest_gpuperf.causes import structure, timing
from pytest_gpuperf.causes.kernels import KernelChange
from pytest_gpuperf.causes.profile_pair import Cause, Kind, ProfiledSide, ProfilePair
from pytest_gpuperf.records.model import Accepted, Baseline, Case, Record, Run, Session
from pytest_gpuperf.records.same_device import software_changes

__all__ = ["Cause", "Explanation", "ProfiledSide", "explain"]

_SLIGHT = 0.05  # of the change: a cause that accounts for less comes last
_MINOR = 0.25  # of the change: a cause that accounts for less, and is part of a stronger one, is left out

# The most likely cause first, where there are several.
_DETECTORS: tuple[Callable[[ProfilePair], Iterator[Cause]], ...] = (
    structure.precision,
    structure.shape,
    structure.repeated,
    structure.memory_format,
    timing.settings,
    structure.fusion,
    structure.copies,
    timing.threads,
    timing.one_kernel,
    timing.machine,
    timing.idle,
)
# Causes that bring others with them: a cast is a copy, a lost fusion is several kernels more ...
_BRINGS: Mapping[Kind, frozenset[Kind]] = {
    "precision": frozenset({"copy", "fusion"}),
    "repeated": frozenset({"copy", "fusion"}),
    "memory format": frozenset({"copy"}),
    "fusion": frozenset({"copy"}),
}
# ... and causes that change how long the same kernels take.
_REASONS: frozenset[Kind] = frozenset({"precision", "shape", "memory format", "setting"})
_EFFECTS: frozenset[Kind] = frozenset({"one kernel", "machine"})
_STRUCTURAL = frozenset({"precision", "shape", "repeated", "memory format", "fusion", "copy"})
NOTHING_KEPT = "not known: neither side has a profile of this case (only calls that run torch have one)"
MOVED = frozenset({"regressed", "improved"})


class Explanation(Record, frozen=True, kw_only=True):
    """Why one case regressed or improved. Pairs are (baseline, current)."""

    causes: tuple[Cause, ...] = ()  # the most likely first
    kernels: tuple[KernelChange, ...] = ()  # the largest change of time first, unchanged ones included
    unit: Literal["kernel", "operator"] = "kernel"
    seconds: tuple[float, float] | None = None  # of a timed call
    launches: tuple[int, int] | None = None
    busy: tuple[float, float] | None = None
    idle: tuple[float, float] | None = None
    clock: tuple[float, float] | None = None  # SM, MHz
    software: tuple[str, ...] = ()  # "torch 2.13.0 -> 2.15.0"
    settings: tuple[str, ...] = ()  # "threads 2 -> 1"
    missing: str | None = None  # why kernels cannot be compared, and what to type


def explain(before: ProfiledSide, after: ProfiledSide) -> Explanation:
    """What differs, the most likely cause first."""
    explanation = Explanation(
        seconds=(before.seconds, after.seconds),
        clock=(before.sm_clock, after.sm_clock) if before.sm_clock and after.sm_clock else None,
        software=tuple(software_changes(before.software, after.software)),
    )
    a, b = before.profile, after.profile
    more = after.seconds - before.seconds
    environment_causes = list(timing.environment(before, after))
    if a is None or b is None or a.unit != b.unit:
        return _with(explanation, causes=tuple(_by_likelihood(environment_causes, more)))
    pair = ProfilePair(before, after, a, b)
    profile_causes = list(chain.from_iterable(detect(pair) for detect in _DETECTORS))
    if not _STRUCTURAL & {c.kind for c in profile_causes}:
        profile_causes += structure.others(pair)
    profile_causes = [c for c in profile_causes if not _is_consequence(c, profile_causes, more)]
    if any(c.kind == "machine" for c in profile_causes):  # its sentence names the clock already
        environment_causes = [c for c in environment_causes if c.kind != "machine"]
    causes = tuple(_by_likelihood([*profile_causes, *environment_causes], more)) or (_nothing(pair),)
    return _with(
        explanation,
        causes=causes,
        kernels=pair.changes,
        unit=b.unit,
        launches=(a.launches, b.launches),
        busy=(a.busy, b.busy),
        idle=(a.idle, b.idle),
        settings=tuple(software_changes(a.settings, b.settings)),
    )


def _with(explanation: Explanation, **fields: object) -> Explanation:
    return structs.replace(explanation, **fields)


def _is_consequence(cause: Cause, causes: Iterable[Cause], more: float) -> bool:
    """Whether a stronger cause brings this one with it."""
    kinds: set[Kind] = {other.kind for other in causes}
    if cause.kind in _EFFECTS:
        return bool(kinds & _REASONS)
    if cause.seconds is not None and abs(cause.seconds) >= _MINOR * abs(more):
        return False
    return any(cause.kind in _BRINGS.get(kind, ()) for kind in kinds)


def _by_likelihood(causes: Iterable[Cause], more: float) -> list[Cause]:
    """In the order of the detectors; a cause that accounts for next to nothing, or for the opposite, comes last."""
    return sorted(causes, key=lambda c: c.seconds is not None and c.seconds * more < _SLIGHT * more * more)


def _nothing(pair: ProfilePair) -> Cause:
    what = f"the same {pair.b.unit}s, as often, on the same types" if pair.same_kernels else "no difference that tells"
    return Cause(
        kind="nothing",
        sentence=f"{what}, and the profiled calls were not slower or faster: look at caches, memory, other work",
    )


def explanations(run: Run, baseline: Baseline, cases: Iterable[str]) -> dict[str, Explanation]:
    """Why each case changed, by its id; a case that only one side has is left out."""
    accepted = {a.id: a for a in baseline.cases}
    measured = {c.id: c for c in run.cases}
    before = {s.id: s for s in baseline.sessions}
    now = {s.id: s for s in run.sessions}
    return {
        case: _explain_case(_baseline_side(accepted[case], baseline, before), _run_side(measured[case], run, now))
        for case in cases
        if case in accepted and case in measured
    }


def unprofiled(run: Run, baseline: Baseline, cases: Iterable[str]) -> set[str]:
    """The cases of which the baseline has a profile and the run has none."""
    known = {a.id for a in baseline.cases if a.profile is not None}
    bare = {c.id for c in run.cases if c.profile is None}
    return known & bare & set(cases)


def _explain_case(before: ProfiledSide, after: ProfiledSide) -> Explanation:
    explanation = explain(before, after)
    if before.profile is after.profile is None:
        why = NOTHING_KEPT
    elif before.profile is None:
        why = "not known: the baseline has no profile of this case (gpuperf calibrate makes one, where torch runs)"
    elif after.profile is None:
        why = "not known: this run has no profile of this case (--gpuperf-save makes one, where torch runs)"
    else:
        return explanation
    return msgspec.structs.replace(explanation, missing=why)


def _baseline_side(case: Accepted, baseline: Baseline, sessions: Mapping[str, Session]) -> ProfiledSide:
    clocks = [s.sm_clock for s in case.series if s.sm_clock]
    return ProfiledSide(
        profile=case.profile,
        seconds=median(chain.from_iterable(s.medians for s in case.series)),
        software=baseline.environment.software,
        sm_clock=median(clocks) if clocks else None,
        canaries=_canaries(sessions[s.session] for s in case.series),
    )


def _run_side(case: Case, run: Run, sessions: Mapping[str, Session]) -> ProfiledSide:
    clocks = [m.sm_clock for m in case.measurements if m.sm_clock]
    return ProfiledSide(
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
