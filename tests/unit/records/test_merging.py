"""Several sessions of one suite as one run."""

from __future__ import annotations

import msgspec
from examples import a_run

from pytest_gpuperf.records.merge import with_sessions_of


def renamed(run, session):
    """The same run, measured in another session."""
    return msgspec.structs.replace(
        run,
        sessions=tuple(msgspec.structs.replace(s, id=session) for s in run.sessions),
        cases=tuple(
            msgspec.structs.replace(
                c, measurements=tuple(msgspec.structs.replace(m, session=session) for m in c.measurements)
            )
            for c in run.cases
        ),
    )


def test_every_case_gets_the_sessions_of_the_others():
    run = a_run(0)
    joined = with_sessions_of(run, [renamed(run, "second"), renamed(run, "third")])
    assert [s.id for s in joined.sessions] == [run.sessions[0].id, "second", "third"]
    for before, after in zip(run.cases, joined.cases, strict=True):
        assert len(after.measurements) == 3 * len(before.measurements)
        assert after.measurements[-1].session == "third"


def test_a_case_that_only_another_session_measured_is_kept():
    run = a_run(0)
    none = msgspec.structs.replace(run, cases=())
    assert with_sessions_of(none, [run]).cases == run.cases


def test_nothing_to_join_changes_nothing():
    run = a_run(0)
    assert with_sessions_of(run, []) == run
