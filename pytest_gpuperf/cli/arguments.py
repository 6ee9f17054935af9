"""From the words of the command line to a subcommand with its options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from pytest_gpuperf.cli.ab import AB
from pytest_gpuperf.cli.accept import ACCEPT
from pytest_gpuperf.cli.calibrate import CALIBRATE
from pytest_gpuperf.cli.compare import COMPARE
from pytest_gpuperf.cli.doctor import DOCTOR
from pytest_gpuperf.cli.exporting import EXPORT
from pytest_gpuperf.cli.importing import IMPORT
from pytest_gpuperf.cli.matrix import MATRIX
from pytest_gpuperf.cli.merge import MERGE
from pytest_gpuperf.cli.plot import PLOT
from pytest_gpuperf.cli.ratios import RATIOS
from pytest_gpuperf.cli.report import REPORT
from pytest_gpuperf.cli.selftest import SELFTEST
from pytest_gpuperf.cli.serve_study import SERVE_STUDY
from pytest_gpuperf.cli.show import SHOW
from pytest_gpuperf.cli.triton import TRITON
from pytest_gpuperf.cli.waive import WAIVE
from pytest_gpuperf.cli.why import WHY

COMMANDS = (
    COMPARE,
    ACCEPT,
    CALIBRATE,
    SHOW,
    RATIOS,
    REPORT,
    PLOT,
    WHY,
    WAIVE,
    AB,
    IMPORT,
    EXPORT,
    DOCTOR,
    MATRIX,
    MERGE,
    SELFTEST,
    TRITON,
    SERVE_STUDY,
)
USAGE_ERROR = 4  # pytest's


class Parser(argparse.ArgumentParser):
    """Ends on a wrong option with pytest's exit code, not with Python's."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, below the usage."""
        self.print_usage(sys.stderr)
        self.exit(USAGE_ERROR, f"gpuperf: error: {message}\n")


def parser() -> Parser:
    """The parser of the whole command."""
    top = Parser(prog="gpuperf", description="Record, compare and accept GPU performance.", allow_abbrev=False)
    subparsers = top.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        usage = "%(prog)s [options] -- PYTEST-ARGUMENTS" if command.takes_pytest_arguments else None
        sub = subparsers.add_parser(
            command.name, help=command.help, description=command.help, usage=usage, allow_abbrev=False
        )
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return top


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of the subcommand; what stands after ``--`` is pytest's and is not looked at."""
    words = list(arguments)
    theirs: list[str] = []
    if words[:1] in [[c.name] for c in COMMANDS if c.takes_pytest_arguments] and "--" in words:
        end = words.index("--")
        words, theirs = words[:end], words[end + 1 :]
    options = parser().parse_args(words)
    options.pytest_arguments = theirs
    return options
