"""Accepting runs into a baseline file: how `accept` and `calibrate` both end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pytest_gpuperf.comparison.acceptance import Acceptance, Change, accept
from pytest_gpuperf.comparison.compare import compare
from pytest_gpuperf.comparison.resolution import Resolution, resolutions
from pytest_gpuperf.records.files import update_baseline
from pytest_gpuperf.records.merge import with_sessions_of
from pytest_gpuperf.records.model import Baseline, Run, Word
from pytest_gpuperf.records.units import format_change, format_seconds, many
from pytest_gpuperf.reports.formats import terminal_width
from pytest_gpuperf.reports.tables import by_file, prose, table, visible

NONE = "-"
HEADER = ("case", "old", "new", "change", "sessions", "what")


def promote(runs: Sequence[Run], into: str, *, few: bool, prune: bool) -> tuple[str, Baseline]:
    """Change the baseline under its lock; gives what is printed (old -> new of every case) and what is kept now."""
    acceptances: list[Acceptance] = []

    def change(baseline: Baseline | None) -> Baseline:
        verdicts, vanished = _judged(baseline, runs, into) if baseline else ({}, ())
        acceptances.append(accept(baseline, runs, verdicts, few=few, prune=vanished if prune else (), name=into))
        return acceptances[-1].baseline

    kept = update_baseline(into, change)
    return _report(acceptances[-1], into), kept


def resolutions_after(baseline: Baseline | None, runs: Sequence[Run], into: str) -> dict[str, Resolution]:
    """What each case of these runs could tell, were they accepted now."""
    verdicts, _ = _judged(baseline, runs, into) if baseline else ({}, ())
    return resolutions_of(accept(baseline, runs, verdicts, few=True).baseline, runs)


def resolutions_of(baseline: Baseline, runs: Sequence[Run]) -> dict[str, Resolution]:
    """What each case of these runs can tell."""
    by_case = resolutions(baseline)
    return {case.id: by_case[case.id] for run in runs for case in run.cases}


def _judged(baseline: Baseline, runs: Sequence[Run], into: str) -> tuple[dict[str, Word], tuple[str, ...]]:
    """What the runs together say of the baseline, and which of its cases are gone."""
    comparison = compare(with_sessions_of(runs[0], runs[1:]), baseline, name=into)
    return {f.case: f.verdict.word for f in comparison.timed}, comparison.vanished


def _report(acceptance: Acceptance, into: str) -> str:
    rows = by_file((c.case, _row(c)) for c in acceptance.changes)
    words = [c.action for c in acceptance.changes]
    counts = ", ".join(f"{words.count(w)} {w}" for w in dict.fromkeys(words))
    lines = table(HEADER, "lrrrrl", rows, terminal_width())
    return "\n".join([*lines, "", *_why_kept(acceptance.changes), f"{visible(into)}: {counts}"])


def _why_kept(changes: Iterable[Change]) -> Iterator[str]:
    """Why nothing was added of what the runs measured: a sentence for each reason, with the cases it holds for."""
    reasons: dict[str, list[str]] = {}
    for change in changes:
        if change.why is not None:
            reasons.setdefault(change.why, []).append(change.case)
    for why, (case, *others) in reasons.items():
        which = many(len(others) + 1, "case") if others else case
        yield from prose(f"{which}: nothing was added, {why}", terminal_width(), hanging="  ")


def _row(change: Change) -> tuple[str, ...]:
    moved = format_change(change.new / change.old) if change.old and change.new else NONE
    sessions = f"{change.sessions_before} -> {change.sessions_after}"
    return _time(change.old), _time(change.new), moved, sessions, change.action


def _time(seconds: float | None) -> str:
    return NONE if seconds is None else format_seconds(seconds)
