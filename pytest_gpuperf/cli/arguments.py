"""From the words of the command line to a subcommand with its options."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from pytest_gpuperf.cli.ab import AB
from pytest_gpuperf.cli.baseline import ACCEPT, WAIVE
from pytest_gpuperf.cli.calibrate import CALIBRATE
from pytest_gpuperf.cli.doctor import DOCTOR
from pytest_gpuperf.cli.energy_score import ENERGY_SCORE
from pytest_gpuperf.cli.judge import COMPARE, MERGE, REPORT
from pytest_gpuperf.cli.matrix import MATRIX
from pytest_gpuperf.cli.numa import NUMA
from pytest_gpuperf.cli.other_tools import EXPORT, IMPORT
from pytest_gpuperf.cli.read import PLOT, RATIOS, SHOW, WHY
from pytest_gpuperf.cli.selftest import SELFTEST
from pytest_gpuperf.cli.serve_study import SERVE_STUDY
from pytest_gpuperf.cli.serve_study_text import SERVE_STUDY_TEXT
from pytest_gpuperf.cli.study_vit import STUDY_VIT
from pytest_gpuperf.cli.text_figures import TEXT_FIGURES
from pytest_gpuperf.cli.trace import TRACE
from pytest_gpuperf.cli.triton import TRITON

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
    NUMA,
    MATRIX,
    MERGE,
    SELFTEST,
    TRITON,
    SERVE_STUDY,
    SERVE_STUDY_TEXT,
    TEXT_FIGURES,
    ENERGY_SCORE,
    TRACE,
    STUDY_VIT,
)
USAGE_ERROR = 4  # pytest's


class Parser(argparse.ArgumentParser):
    """Ends on a wrong option with pytest's exit code, not with Python's."""

    _mixes = False  # whether argparse calls us again, for arguments with options between them

    def parse_known_args(  # type: ignore[override]
        self, args: Any = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Options may stand between arguments: ``gpuperf why RUN --baseline BASELINE CASE``."""
        if self._subparsers is not None or self._mixes:
            return super().parse_known_args(args, namespace)
        self._mixes = True
        if self.usage is None:  # argparse would make it, and trip over a percent sign in it
            self.usage = self.format_usage().removeprefix("usage: ").replace("%", "%%")
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixes = False

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, below the usage."""
        self.print_usage(sys.stderr)
        self.exit(USAGE_ERROR, f"gpuperf: error: {message}\n")


class Version(argparse.Action):
    """Reads the version only where it is wanted, since that takes a while."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Print it, and end."""
        from importlib.metadata import version

        print(f"gpuperf {version('pytest-gpuperf')}, Python {platform.python_version()}")
        parser.exit()


def parser() -> Parser:
    """The parser of the whole command."""
    top = Parser(prog="gpuperf", description="Record, compare and accept GPU performance.", allow_abbrev=False)
    top.add_argument("--version", action=Version, nargs=0, help="print which gpuperf this is")
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
    words = list(arguments) or ["--help"]
    if " ".join(words[:2]) in [c.name for c in COMMANDS]:  # "serve-study text"
        words = [" ".join(words[:2]), *words[2:]]
    theirs: list[str] = []
    if words[:1] in [[c.name] for c in COMMANDS if c.takes_pytest_arguments] and "--" in words:
        end = words.index("--")
        words, theirs = words[:end], words[end + 1 :]
    options = parser().parse_args(words)
    options.pytest_arguments = theirs
    return options
