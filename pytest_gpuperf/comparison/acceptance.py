"""Promoting runs: what a baseline becomes when what was measured is accepted. The only way a baseline changes."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from pytest_gpuperf.comparison.resolution import with_margins
from pytest_gpuperf.errors import DeviceError, UsageError
from pytest_gpuperf.gate.compaction import block_medians
from pytest_gpuperf.records.model import (
    SESSIONS_KEPT,
    Accepted,
    Baseline,
    Case,
    Device,
    Measurement,
    Profile,
    Record,
    Run,
    Series,
    Session,
    Word,
)
from pytest_gpuperf.records.same_device import device_differences
from pytest_gpuperf.records.units import many

SESSIONS_NEEDED = 5  # below, the variance between processes is unknown, and the next verdicts would be guesses

Action = Literal["added", "replaced", "new", "pruned", "kept"]
GREW: frozenset[Action] = frozenset({"added", "replaced", "new"})  # the case has sessions that it had not before


class Change(Record, frozen=True, kw_only=True):
    """What became of one case: median seconds per call and sessions, before and after."""

    case: str
    action: Action
    old: float | None
    new: float | None
    sessions_before: int
    sessions_after: int
    why: str | None = None  # nothing was added, though the runs measured it


class Acceptance(Record, frozen=True, kw_only=True):
    """The new baseline, and what changed in it, case by case."""

    baseline: Baseline
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class _Measured:
    """One case in the runs, a measurement a session, oldest session first."""

    cases: tuple[Case, ...]  # as each session saw it
    measurements: tuple[Measurement, ...]

    @property
    def case(self) -> Case:
        """As the newest session saw it."""
        return self.cases[-1]

    @property
    def newest(self) -> Measurement:
        return self.measurements[-1]

    def fits(self, old: Accepted) -> bool:
        """Whether its figures mean the same as the accepted ones."""
        return (self.newest.items, self.newest.clock) == (old.items, old.clock)


def accept(
    baseline: Baseline | None,
    runs: Sequence[Run],
    verdicts: Mapping[str, Word],
    *,
    few: bool = False,
    prune: Collection[str] = (),
    name: str = "BASELINE",
) -> Acceptance:
    """The baseline after these runs. `verdicts` are the time verdicts of the runs against it, by case.

    `few` lets cases be new or replaced with fewer than 5 sessions; `prune` names the vanished cases to drop.
    `name` is the baseline's file.
    """
    _refuse_nothing(runs)
    _refuse_other_device(baseline, runs)
    headers = {s.id: s for r in runs for s in r.sessions}
    headers |= {s.id: s for s in baseline.sessions} if baseline else {}
    measured = _measured(runs, headers)
    before = {c.id: c for c in baseline.cases} if baseline else {}
    # A publication's figure has no sessions to add to: measured ones take the place of all of it.
    published = baseline is not None and baseline.provenance == "published"

    after: dict[str, Accepted] = {}
    changes: list[Change] = []
    short: dict[str, int] = {}
    for case in sorted({*before, *measured}):
        old, found, why = before.get(case), measured.get(case), None
        if found is None:
            action: Action = "pruned" if published or case in prune else "kept"
            new = None if action == "pruned" else old
        else:
            base = None if published else old
            known = {s.session for s in base.series} if base else set[str]()
            fresh = [m for m in found.measurements if m.session not in known]
            action, why = _action(base, found, len(fresh), verdicts.get(case), few=few)
            if action in ("new", "replaced") and len(fresh) < SESSIONS_NEEDED and not few:
                short[case] = len(fresh)
            action, new = _accepted(action, base, found, fresh, headers)
            if action == "kept" and why is None:
                why = f"since the sessions are older than the {SESSIONS_KEPT} that are kept"
            action = "replaced" if published and old else action
        if new is not None:
            after[case] = new
        changes.append(_change(case, action, old, new, why))
    _refuse_short(short, f"--into {shlex.quote(name)}{runs[0].scope.invocation.tail()}")
    grown = {c.case for c in changes if c.action in GREW}
    kept = _baseline(baseline, runs, after, headers, grew=bool(grown))
    return Acceptance(baseline=with_margins(kept, grown), changes=tuple(changes))


def _action(
    old: Accepted | None, found: _Measured, fresh: int, verdict: Word | None, *, few: bool
) -> tuple[Action, str | None]:
    """What becomes of a case, and why nothing does."""
    if old is None:
        return "new", None
    if not fresh:
        return "kept", "since the sessions are in the baseline already"
    if verdict in ("regressed", "improved") or not found.fits(old):
        return "replaced", None
    if verdict == "unchanged":
        return "added", None
    # Inconclusive (or never judged): one session that may be a regression must not move the reference, or a few such
    # would hide it. Yet a noisy or young baseline can only learn by more sessions: as many as a replacement needs,
    # or any while it has too few itself.
    enough = few or fresh >= SESSIONS_NEEDED or len(old.series) < SESSIONS_NEEDED
    if enough:
        return "added", None
    return "kept", (
        f"since the verdict is open, and {many(fresh, 'session')} could hide a regression. {SESSIONS_NEEDED} would be "
        f"added; fewer with --few"
    )


def _accepted(
    action: Action, old: Accepted | None, found: _Measured, fresh: Sequence[Measurement], headers: Mapping[str, Session]
) -> tuple[Action, Accepted | None]:
    """The case as it is kept from now on."""
    if action == "kept":
        return action, old
    grown = old if action == "added" else None
    series = [*(grown.series if grown else ()), *(_series(m) for m in fresh)]
    series.sort(key=lambda s: _age(headers[s.session]))
    kept = tuple(series[-SESSIONS_KEPT:])
    if grown and kept == grown.series:
        return "kept", grown  # all of them are older than the sessions that are kept
    new = Accepted(
        id=found.case.id,
        test=found.case.test,
        parameters=found.case.parameters,
        items=found.newest.items,
        clock=found.newest.clock,
        series=kept,
        waiver=grown.waiver if grown else None,  # a replaced figure is the accepted one: nothing is left to waive
        profile=_profile(grown.profile if grown else None, found),
    )
    return action, new


def _profile(old: Profile | None, found: _Measured) -> Profile | None:
    """Of the newest session that has one; while the same kernels run, what was kept, so that a review shows nothing."""
    new = next((c.profile for c in reversed(found.cases) if c.profile is not None), None)
    return old if new is None or (old is not None and old.same_work(new)) else new


def _series(measurement: Measurement) -> Series:
    return Series(
        session=measurement.session,
        count=len(measurement.samples),
        medians=block_medians(measurement.samples),
        peak_memory=measurement.peak_memory,
        energy=measurement.energy,
        state=measurement.state,
        sm_clock=measurement.sm_clock,
    )


def _measured(runs: Sequence[Run], headers: Mapping[str, Session]) -> dict[str, _Measured]:
    """Every case of the runs; a session that stands in two of them counts once."""
    found: dict[str, dict[str, tuple[Case, Measurement]]] = {}
    for run in runs:
        for case in run.cases:
            sessions = found.setdefault(case.id, {})
            for m in case.measurements:
                sessions.setdefault(m.session, (case, m))
    return {i: _agreeing(sorted(s.values(), key=lambda p: _age(headers[p[1].session]))) for i, s in found.items()}


def _agreeing(pairs: Sequence[tuple[Case, Measurement]]) -> _Measured:
    """Only what counts the same items by the same clock as the newest: a median over both would mean nothing."""
    _, newest = pairs[-1]
    same = [(c, m) for c, m in pairs if (m.items, m.clock) == (newest.items, newest.clock)]
    return _Measured(tuple(c for c, _ in same), tuple(m for _, m in same))


def _age(session: Session) -> tuple[str, str]:
    return session.time, session.id


def _baseline(
    baseline: Baseline | None,
    runs: Sequence[Run],
    cases: Mapping[str, Accepted],
    headers: Mapping[str, Session],
    *,
    grew: bool,
) -> Baseline:
    used = {s.session for c in cases.values() for s in c.series}
    newest = max(runs, key=lambda r: max((_age(s) for s in r.sessions), default=("", "")))
    return Baseline(
        provenance="measured",
        environment=baseline.environment if baseline and not grew else newest.environment,
        sessions=tuple(sorted((headers[i] for i in used), key=_age)),
        cases=tuple(cases.values()),
    )


def _change(case: str, action: Action, old: Accepted | None, new: Accepted | None, why: str | None) -> Change:
    return Change(
        case=case,
        action=action,
        old=_figure(old),
        new=_figure(new),
        sessions_before=len(old.series) if old else 0,
        sessions_after=len(new.series) if new else 0,
        why=why,
    )


def _figure(case: Accepted | None) -> float | None:
    return median(m for s in case.series for m in s.medians) if case else None


def _refuse_nothing(runs: Sequence[Run]) -> None:
    if not any(run.cases for run in runs):
        raise UsageError(
            "There is nothing to accept: the runs hold no measured case. "
            "Record one with: pytest -m gpu --gpuperf-save run.json"
        )


def _refuse_other_device(baseline: Baseline | None, runs: Sequence[Run]) -> None:
    what, first = ("The baseline", baseline.environment) if baseline else ("The first run", runs[0].environment)
    for run in runs:
        differences = device_differences(first.device, run.environment.device)
        if differences:
            raise DeviceError(
                f"{what} was measured on another device than a run to accept: {'; '.join(differences)}. "
                f"A baseline holds one kind of device. Accept it into a file of its own: {_own_file(run)}"
            )


def _own_file(run: Run) -> str:
    device: Device = run.environment.device
    return f"gpuperf calibrate --into baselines/{device.slug}.json{run.scope.invocation.tail()}"


def _refuse_short(short: Mapping[str, int], into: str) -> None:
    if not short:
        return
    listed = "".join(f"\n  {case}: {count}" for case, count in list(short.items())[:10])
    more = f"\n  and {len(short) - 10} more" if len(short) > 10 else ""
    raise UsageError(
        f"{len(short)} new or changed cases have fewer than {SESSIONS_NEEDED} new sessions:{listed}{more}\n"
        f"One process says little about the next, so verdicts against them would be guesses. Record more with: "
        f"gpuperf calibrate --sessions {SESSIONS_NEEDED} {into}\n"
        f"Or accept them as they are with: --few"
    )
