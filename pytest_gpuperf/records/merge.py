"""Joining runs of one suite: several sessions of one job, or the shards that several jobs measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pytest_gpuperf.errors import DeviceError, UsageError
from pytest_gpuperf.records.model import Beside, Case, Confirmation, Run, Scope
from pytest_gpuperf.records.same_device import device_differences, software_changes
from pytest_gpuperf.records.units import many

NAMED = 5  # cases named where many are meant
DIRTY = "+dirty"


def with_sessions_of(run: Run, others: Sequence[Run]) -> Run:
    """The run, with what other runs measured of the same cases added after its own sessions."""
    added: dict[str, Case] = {c.id: c for c in run.cases}
    for other in others:
        for case in other.cases:
            known = added.get(case.id)
            if known is None:
                added[case.id] = case
            else:
                added[case.id] = msgspec.structs.replace(
                    known,
                    measurements=known.measurements + case.measurements,
                    profile=known.profile or case.profile,
                )
    runs = (run, *others)
    return msgspec.structs.replace(
        run,
        sessions=tuple(s for r in runs for s in r.sessions),
        confirmation=_together([r.confirmation for r in runs if r.confirmation is not None]),
        beside=beside_each(b for r in runs for b in r.beside),
        cases=tuple(added.values()),
    )


def _together(each: Sequence[Confirmation]) -> Confirmation | None:
    if not each:
        return None
    return Confirmation(
        tests=sum(c.tests for c in each),
        seconds=sum(c.seconds for c in each),
        launches=sum(c.launches for c in each),
        sessions=sum(c.sessions for c in each),
        remarks=tuple(dict.fromkeys(remark for c in each for remark in c.remarks)),
    )


def beside_each(every: Iterable[Beside]) -> tuple[Beside, ...]:
    """One for each revision, with what all of these learned beside it; of a case the last one's launches."""
    found: dict[str | None, Beside] = {}
    for new in every:
        old = found.get(new.revision, Beside(revision=new.revision))
        unconfirmed = dict(old.unconfirmed)
        for kind, why in new.unconfirmed.items():
            unconfirmed[kind] = {**unconfirmed.get(kind, {}), **why}
        found[new.revision] = Beside(
            revision=new.revision,
            same_code=tuple(dict.fromkeys((*old.same_code, *new.same_code))),
            launches={**old.launches, **new.launches},
            not_in_turns={**old.not_in_turns, **new.not_in_turns},
            unconfirmed=unconfirmed,
        )
    return tuple(found.values())


def joined(runs: Mapping[str, Run]) -> Run:
    """The run of the whole, from the runs by their names; refused where they are not shards of one suite."""
    (first_name, first), *others = runs.items()
    for name, run in others:
        _refuse_other_machine(first_name, first, name, run)
    _refuse_repeated(runs)
    whole = with_sessions_of(first, [run for _, run in others])
    return msgspec.structs.replace(whole, scope=_scope(list(runs.values()), {c.test for c in whole.cases}))


def dirty(run: Run) -> bool:
    """Whether changes were measured that no commit holds: that all shards measured the same ones is not known."""
    return any((s.revision or "").endswith(DIRTY) for s in run.sessions)


def _scope(runs: Sequence[Run], measured: set[str]) -> Scope:
    """What is in any shard's scope is in the whole's. A test that one shard skipped may be another's."""
    reasons = {test: why for run in reversed(runs) for test, why in run.scope.unmeasured.items()}
    return Scope(
        parts=tuple(part for run in runs for part in _parts(run.scope)),
        unmeasured={test: why for test, why in sorted(reasons.items()) if test not in measured},
    )


def _parts(scope: Scope) -> Sequence[Scope]:
    """A run that was merged before has several."""
    return scope.parts or (msgspec.structs.replace(scope, unmeasured={}),)


def _refuse_other_machine(name: str, run: Run, other_name: str, other: Run) -> None:
    devices = device_differences(run.environment.device, other.environment.device)
    if devices:
        raise DeviceError(
            f"{name} and {other_name} were measured on two kinds of device: {'; '.join(devices)}. Shards "
            f"of one suite run on one kind. Give those of each kind a merge of their own."
        )
    versions = software_changes(run.environment.software, other.environment.software)
    if versions:
        raise UsageError(
            f"{name} and {other_name} were measured with other versions: {'; '.join(versions)}. A case is compared "
            f"with one environment. Install the same on every runner (a lock file, or one container image)."
        )
    revisions = [sorted({s.revision or "none" for s in r.sessions}) for r in (run, other)]
    if revisions[0] != revisions[1]:
        before, now = (", ".join(found) for found in revisions)
        raise UsageError(
            f"{name} measured the revision {before}, {other_name} {now}. Shards are of one revision. "
            f"Check out the same commit in every job: on GitHub its name is in GITHUB_SHA."
        )


def _refuse_repeated(runs: Mapping[str, Run]) -> None:
    shard_of: dict[str, str] = {}  # by case
    twice: list[str] = []
    for name, run in runs.items():
        twice += [f"{case.id} ({shard_of[case.id]} and {name})" for case in run.cases if case.id in shard_of]
        shard_of |= {case.id: name for case in run.cases}
    if twice:
        more = f" and {len(twice) - NAMED} more" if len(twice) > NAMED else ""
        raise UsageError(
            f"{many(len(twice), 'case')} {'is' if len(twice) == 1 else 'are'} in two shards: "
            f"{', '.join(twice[:NAMED])}{more}. Each case is measured in one of "
            f"them. To judge by several sessions of a case, accept them: gpuperf accept RUN... --into BASELINE"
        )
    ids: dict[str, str] = {}
    for name, run in runs.items():
        for session in run.sessions:
            other = ids.setdefault(session.id, name)
            if other != name:
                raise UsageError(f"{other} and {name} hold the same session {session.id}: a file was given twice.")
