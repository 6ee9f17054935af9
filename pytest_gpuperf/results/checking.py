"""What types cannot say: ids that are unique, sessions that exist, days that are in the calendar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime

from pytest_gpuperf.results.problems import Flaw, shown
from pytest_gpuperf.results.records import Accepted, Baseline, Case, Run, Session
from pytest_gpuperf.results.units import METRICS


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
    seen: dict[str, int] = {}
    for i, case in enumerate(cases):
        first = seen.setdefault(case.id, i)
        if first != i:
            raise Flaw(f"$.cases[{i}].id (case {shown(case.id)})", f"this case stands twice, first at cases[{first}]")


def _of_known_sessions(place: str, case: Case | Accepted, named: Iterable[str], known: set[str]) -> None:
    seen: set[str] = set()
    for i, session in enumerate(named):
        if session not in known:
            raise Flaw(
                f"{place}[{i}].session (case {shown(case.id)})", f"the session {shown(session)} is not in sessions"
            )
        if session in seen:
            raise Flaw(
                f"{place}[{i}].session (case {shown(case.id)})",
                f"the session {shown(session)} stands twice in this case",
            )
        seen.add(session)


def _in_calendar(place: str, text: str, parse: Callable[[str], object]) -> None:
    try:
        parse(text)
    except ValueError:
        raise Flaw(place, f"{shown(text)} is no day and time of the calendar") from None
