"""``gpuperf accept`` and ``gpuperf waive``: how a baseline file changes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, date, datetime
from difflib import get_close_matches

import msgspec

from pytest_gpuperf.cli.command import Command
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.records.files import read_baseline, update_baseline
from pytest_gpuperf.records.model import Baseline, Waiver


def _accept_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf accept`."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run files, from pytest --gpuperf-save")
    add_target_arguments(parser)


def add_target_arguments(parser: ArgumentParser) -> None:
    """Declare what decides how runs are accepted: `calibrate` ends in it too."""
    parser.add_argument("--into", required=True, metavar="BASELINE", help="the baseline; made where there is none")
    parser.add_argument("--few", action="store_true", help="accept new or changed cases with fewer than 5 sessions")
    parser.add_argument("--prune", action="store_true", help="drop the cases that vanished from the suite")


def _accept(options: Namespace) -> int:
    """Change the baseline and print old -> new."""
    from pytest_gpuperf.cli.promotion import promote
    from pytest_gpuperf.records.files import read_run

    runs = [read_run(path) for path in options.runs]
    changes, _ = promote(runs, options.into, few=options.few, prune=options.prune)
    print(changes)
    return 0


ACCEPT = Command("accept", "promote recorded runs into a baseline", _accept_arguments, _accept)


def _waive_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf waive`."""
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
