"""``gpuperf accept``: promote recorded runs without measuring again."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pytest_gpuperf.cli.command import Command


def add_arguments(parser: ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run files, from pytest --gpuperf-save")
    add_target_arguments(parser)


def add_target_arguments(parser: ArgumentParser) -> None:
    """Declare what decides how runs are accepted: `calibrate` ends in it too."""
    parser.add_argument("--into", required=True, metavar="BASELINE", help="the baseline; made where there is none")
    parser.add_argument("--few", action="store_true", help="accept new or changed cases with fewer than 5 sessions")
    parser.add_argument("--prune", action="store_true", help="drop the cases that vanished from the suite")


def run(options: Namespace) -> int:
    """Change the baseline and print old -> new."""
    from pytest_gpuperf.cli.promotion import promote
    from pytest_gpuperf.results.files import read_run

    runs = [read_run(path) for path in options.runs]
    changes, _ = promote(runs, options.into, few=options.few, prune=options.prune)
    print(changes)
    return 0


ACCEPT = Command("accept", "promote recorded runs into a baseline", add_arguments, run)
