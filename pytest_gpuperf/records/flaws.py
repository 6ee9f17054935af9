"""What can be wrong with a file, with its path, the place in it and the way out; and checks that types cannot do."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from itertools import chain

import msgspec

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.records.envelope import BASELINE, RUN
from pytest_gpuperf.records.model import Accepted, Baseline, Case, Run, Session
from pytest_gpuperf.records.units import METRICS

_WAY_OUT = {
    RUN: "Record it again with: pytest --gpuperf-save {path}",
    BASELINE: "Restore it (git checkout -- {path}), or move it away and record a new one with: "
    "gpuperf calibrate --sessions 5 --into {path}",
}


def shown(value: object) -> str:
    """A value of the file as it would stand there, in one line of bearable length."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 200 else f"{text[:200]}..."


def member(place: str, key: str) -> str:
    """The JSON path of a value in an object."""
    return f"{place}.{key}" if key.isidentifier() else f"{place}[{shown(key)}]"


class Flaw(Exception):  # noqa: N818 - it never leaves this room; `FileError` does
    """Something wrong at one place of a file."""

    def __init__(self, place: str, what: str, way_out: str | None = None) -> None:
        super().__init__(place, what, way_out)
        self.place = place  # JSON path: "$.cases[12].series[3].medians[1]"
        self.what = what
        self.way_out = way_out

    def in_file(self, path: str, kind: str) -> FileError:
        """The error a user sees. What is wrong with the file as a whole needs no place in it."""
        place = self.place.removeprefix("$").removeprefix(".")
        where = path if place in {"", "format", "version"} else f"{path}: {place}"
        return FileError(f"{where}: {self.what}. {(self.way_out or _WAY_OUT[kind]).format(path=shlex.quote(path))}")


def check_run(run: Run) -> None:
    """Raise the first flaw."""
    known = _sessions(run.sessions)
    _unique_cases(run.cases)
    for i, case in enumerate(run.cases):
        for metric in case.rule.tolerance:
            if metric not in METRICS:
                raise Flaw(
                    f"$.cases[{i}].rule.tolerance (case {shown(case.id)})",
                    f"{shown(metric)} is no metric; the metrics are {', '.join(METRICS)}",
                )
        _of_known_sessions(f"$.cases[{i}].measurements", case, (m.session for m in case.measurements), known)
    _beside_known_cases(run)


def _beside_known_cases(run: Run) -> None:
    cases, revisions = {case.id for case in run.cases}, set[str | None]()
    if run.beside and run.confirmation is None:
        raise Flaw("$.confirmation", "it is missing, and what stands in beside was learned by measuring suspects again")
    for i, beside in enumerate(run.beside):
        if beside.revision in revisions:
            raise Flaw(f"$.beside[{i}].revision", f"the revision {shown(beside.revision)} stands twice")
        revisions.add(beside.revision)
        named = (*beside.same_code, *beside.launches, *beside.not_in_turns, *chain(*beside.unconfirmed.values()))
        for name in named:
            if name not in cases:
                raise Flaw(f"$.beside[{i}]", f"the case {shown(name)} is not in cases")


def check_baseline(baseline: Baseline) -> None:
    """Raise the first flaw."""
    known = _sessions(baseline.sessions)
    _unique_cases(baseline.cases)
    for i, case in enumerate(baseline.cases):
        _of_known_sessions(f"$.cases[{i}].series", case, (s.session for s in case.series), known)
        if case.waiver is not None:
            _in_calendar(f"$.cases[{i}].waiver.until (case {shown(case.id)})", case.waiver.until, date.fromisoformat)


def _sessions(sessions: Sequence[Session]) -> set[str]:
    known: set[str] = set()
    for i, session in enumerate(sessions):
        if session.id in known:
            raise Flaw(f"$.sessions[{i}].id", f"the session {shown(session.id)} stands twice")
        known.add(session.id)
        _in_calendar(f"$.sessions[{i}].time", session.time, datetime.fromisoformat)
    return known


def _unique_cases(cases: Sequence[Case | Accepted]) -> None:
    index_of: dict[str, int] = {}
    for i, case in enumerate(cases):
        first = index_of.setdefault(case.id, i)
        if first != i:
            raise Flaw(f"$.cases[{i}].id (case {shown(case.id)})", f"this case stands twice, first at cases[{first}]")


def _of_known_sessions(place: str, case: Case | Accepted, named: Iterable[str], known: set[str]) -> None:
    sessions: set[str] = set()
    for i, session in enumerate(named):
        if session not in known:
            raise Flaw(
                f"{place}[{i}].session (case {shown(case.id)})", f"the session {shown(session)} is not in sessions"
            )
        if session in sessions:
            raise Flaw(
                f"{place}[{i}].session (case {shown(case.id)})",
                f"the session {shown(session)} stands twice in this case",
            )
        sessions.add(session)


def _in_calendar(place: str, text: str, parse: Callable[[str], object]) -> None:
    try:
        parse(text)
    except ValueError:
        raise Flaw(place, f"{shown(text)} is no day and time of the calendar") from None
