"""Joining runs of one suite on one kind of device into one run of several sessions."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pytest_gpuperf.results.records import Case, Run


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
    return msgspec.structs.replace(
        run,
        sessions=run.sessions + tuple(s for other in others for s in other.sessions),
        cases=tuple(added.values()),
    )
