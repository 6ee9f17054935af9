"""``gpuperf show``: what a run or a baseline holds, and how much its sessions differ."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pytest_gpuperf.cli.command import Command


def add_arguments(parser: ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("file", metavar="FILE", help="a run or a baseline")


def run(options: Namespace) -> int:
    """Print it."""
    from pytest_gpuperf.reports.contents import baseline_contents, run_contents
    from pytest_gpuperf.reports.formats import terminal_width
    from pytest_gpuperf.results.envelope import RUN
    from pytest_gpuperf.results.files import read_baseline, read_run

    width = terminal_width()
    if _kind(options.file) == RUN:
        print(run_contents(options.file, read_run(options.file), width))
    else:  # whatever it is: the reader of baselines says what is wrong with it
        print(baseline_contents(options.file, read_baseline(options.file), width))
    return 0


def _kind(path: str) -> str | None:
    """What the file says it is; nothing where it cannot be read, which the reader explains."""
    from pytest_gpuperf.results.decoding import kind_of

    try:
        with Path(path).open("rb") as file:
            return kind_of(file.read())
    except (OSError, ValueError):
        return None


SHOW = Command("show", "print what a run or a baseline holds", add_arguments, run)
