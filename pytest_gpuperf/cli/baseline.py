"""``gpuperf accept`` and ``gpuperf waive``: how a baseline file changes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from difflib import get_close_matches

import msgspec

from pytest_gpuperf.cli.command import Command
from pytest_gpuperf.comparison.acceptance import Acceptance, Change, accept
from pytest_gpuperf.comparison.compare import compare
from pytest_gpuperf.comparison.resolution import Resolution, resolutions
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.records.files import read_baseline, update_baseline
from pytest_gpuperf.records.merge import with_sessions_of
from pytest_gpuperf.records.model import Baseline, Run, Waiver, Word
from pytest_gpuperf.records.units import format_change, format_seconds, many
from pytest_gpuperf.reports.formats import terminal_width
from pytest_gpuperf.reports.tables import by_file, prose, table, visible

NONE = "-"
HEADER = ("case", "old", "new", "change", "sessions", "what")


def promote(runs: Sequence[Run], into: str, *, few: bool, prune: bool) -> tuple[str, Baseline]:
    """Change the baseline under its lock; gives what is printed (old -> new of every case) and what is kept now."""
    done: list[Acceptance] = []

    def change(baseline: Baseline | None) -> Baseline:
        verdicts, vanished = _judged(baseline, runs, into) if baseline else ({}, ())
        done.append(accept(baseline, runs, verdicts, few=few, prune=vanished if prune else (), name=into))
        return done[-1].baseline

    kept = update_baseline(into, change)
    return _report(done[-1], into), kept


def told_after(baseline: Baseline | None, runs: Sequence[Run], into: str) -> dict[str, Resolution]:
    """What each case of these runs could tell, were they accepted now."""
    verdicts, _ = _judged(baseline, runs, into) if baseline else ({}, ())
    return told_of(accept(baseline, runs, verdicts, few=True).baseline, runs)


def told_of(baseline: Baseline, runs: Sequence[Run]) -> dict[str, Resolution]:
    """What each case of these runs can tell."""
    told = resolutions(baseline)
    return {case.id: told[case.id] for run in runs for case in run.cases}


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


def _accept_arguments(parser: ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run files, from pytest --gpuperf-save")
    add_target_arguments(parser)


def add_target_arguments(parser: ArgumentParser) -> None:
    """Declare what decides how runs are accepted: `calibrate` ends in it too."""
    parser.add_argument("--into", required=True, metavar="BASELINE", help="the baseline; made where there is none")
    parser.add_argument("--few", action="store_true", help="accept new or changed cases with fewer than 5 sessions")
    parser.add_argument("--prune", action="store_true", help="drop the cases that vanished from the suite")


def _accept(options: Namespace) -> int:
    """Change the baseline and print old -> new."""
    from pytest_gpuperf.records.files import read_run

    runs = [read_run(path) for path in options.runs]
    changes, _ = promote(runs, options.into, few=options.few, prune=options.prune)
    print(changes)
    return 0


ACCEPT = Command("accept", "promote recorded runs into a baseline", _accept_arguments, _accept)


def _waive_arguments(parser: ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("case", metavar="CASE", help="the case's id, as `gpuperf show` prints it")
    parser.add_argument("--into", required=True, metavar="BASELINE")
    parser.add_argument("--until", metavar="YYYY-MM-DD", help="the last day of the waiver; afterwards it fails")
    parser.add_argument("--reason", metavar="TEXT", help="shown in every report")
    parser.add_argument("--remove", action="store_true", help="take the waiver back")


def _waive(options: Namespace) -> int:
    """Change the baseline, under its lock."""
    waiver = _removal(options) if options.remove else _waiver(options)

    def change(kept: Baseline | None) -> Baseline:
        baseline = read_baseline(options.into) if kept is None else kept  # no file: the reader says what to do
        return _with(baseline, options.case, waiver, options.into)

    update_baseline(options.into, change)
    if waiver is None:
        print(f"{options.case}: no longer waived.")
    else:
        print(f"{options.case}: waived until {waiver.until} ({waiver.reason}).")
    return 0


def _waiver(options: Namespace) -> Waiver:
    if not options.until or not (options.reason or "").strip():
        raise UsageError("A waiver needs an end and a reason: --until YYYY-MM-DD --reason TEXT.")
    try:
        until = date.fromisoformat(options.until)
    except ValueError:
        raise UsageError(f"--until: {options.until!r} is no day. Write it like 2026-12-31.") from None
    if until < datetime.now(UTC).date():
        raise UsageError(f"--until: {until} is past. A waiver ends on a day to come.")
    return Waiver(until=until.isoformat(), reason=options.reason.strip())


def _removal(options: Namespace) -> None:
    if options.until or options.reason:
        raise UsageError("--remove takes neither --until nor --reason.")


def _with(baseline: Baseline, case: str, waiver: Waiver | None, path: str) -> Baseline:
    known = [a.id for a in baseline.cases]
    if case not in known:
        near = get_close_matches(case, known, n=1, cutoff=0)
        hint = f"Did you mean {near[0]}?" if near else "It has no cases."
        raise UsageError(f"{path} has no case {case}. {hint} All of them: gpuperf show {path}")
    changed = tuple(msgspec.structs.replace(a, waiver=waiver) if a.id == case else a for a in baseline.cases)
    return msgspec.structs.replace(baseline, cases=changed)


WAIVE = Command("waive", "tolerate the regression of a case until a day", _waive_arguments, _waive)
