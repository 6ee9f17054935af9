"""``gpuperf calibrate``: measure a suite in several fresh processes, then accept what they recorded."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from pytest_gpuperf.cli.accept import add_target_arguments
from pytest_gpuperf.cli.command import Command
from pytest_gpuperf.errors import FileError, UsageError


def add_arguments(parser: ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("--sessions", type=int, default=5, metavar="N", help="fresh pytest processes (5)")
    add_target_arguments(parser)


def run(options: Namespace) -> int:
    """Everything that can be refused is refused before the first session: they may take an hour."""
    from pytest_gpuperf.analysis.acceptance import SESSIONS_NEEDED
    from pytest_gpuperf.cli.promotion import promote
    from pytest_gpuperf.results.files import read_baseline
    from pytest_gpuperf.sessions import calibrate

    into = Path(options.into)
    if options.sessions < 1:
        raise UsageError(f"--sessions: {options.sessions} measures nothing. Write a number from 1.")
    if into.exists():
        read_baseline(into)
    elif not into.parent.is_dir():
        raise FileError(f"{into}: there is no folder {into.parent}. Make it: mkdir -p {into.parent}")
    elif options.sessions < SESSIONS_NEEDED and not options.few:
        raise UsageError(
            f"--sessions: a new baseline needs {SESSIONS_NEEDED} sessions, since one process says little about the "
            f"next. Write --sessions {SESSIONS_NEEDED}, or --few to do with {options.sessions}."
        )
    runs = calibrate(options.sessions, options.pytest_arguments, progress=_progress)
    print(promote(runs, options.into, few=options.few, prune=options.prune))
    return 0


def _progress(done: int, wanted: int, seconds: float) -> None:
    left = seconds / done * (wanted - done)
    rest = f", about {left:.0f} s left" if done < wanted else ""
    print(f"gpuperf: session {done} of {wanted} recorded after {seconds:.0f} s{rest}", file=sys.stderr, flush=True)


CALIBRATE = Command(
    "calibrate", "measure a suite in fresh processes and accept it", add_arguments, run, takes_pytest_arguments=True
)
