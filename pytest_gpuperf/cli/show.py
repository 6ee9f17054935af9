"""``gpuperf show``: what a run or a baseline holds, and how much its sessions differ."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pytest_gpuperf.cli.command import Command


def add_arguments(parser: ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("file", metavar="FILE", help="a run or a baseline")


def run(options: Namespace) -> int:
    """Print it."""
    from pytest_gpuperf.reports.contents import baseline_contents, run_contents
    from pytest_gpuperf.reports.formats import terminal_width
    from pytest_gpuperf.results.files import read_either
    from pytest_gpuperf.results.records import Run

    width = terminal_width()
    found = read_either(options.file)
    if isinstance(found, Run):
        print(run_contents(options.file, found, width))
    else:
        print(baseline_contents(options.file, found, width))
    return 0


SHOW = Command("show", "print what a run or a baseline holds", add_arguments, run)
