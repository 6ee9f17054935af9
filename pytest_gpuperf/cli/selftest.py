"""``gpuperf selftest``: how often this gate is wrong on this machine."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from pytest_gpuperf.cli.command import Command


def add_arguments(parser: ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument(
        "--rounds", type=int, default=10, metavar="N", help="rounds, each a session of every slow-down (10)"
    )
    parser.add_argument("--format", choices=("markdown", "json"), default="markdown")
    parser.add_argument("--device", default="auto", help="for the built-in workloads: auto, cpu, cuda or cuda:N")


def run(options: Namespace) -> int:
    """Measure the tests after ``--``, or the built-in workloads, against themselves; print what the gate said."""
    from pytest_gpuperf.device import selftest_suite
    from pytest_gpuperf.reports.selftest import FORMATS
    from pytest_gpuperf.sessions.selftest import selftest

    arguments = options.pytest_arguments or [
        "-p",
        "no:cacheprovider",
        "--gpuperf-device",
        options.device,
        str(Path(selftest_suite.__file__)),
    ]
    found = selftest(options.rounds, arguments, progress=_progress)
    print(FORMATS[options.format](found))
    return 0


def _progress(done: int, wanted: int, seconds: float) -> None:
    left = seconds / done * (wanted - done)
    print(f"gpuperf: session {done} of {wanted}, about {left / 60:.0f} min left", file=sys.stderr, flush=True)


SELFTEST = Command(
    "selftest", "how often this gate is wrong on this machine", add_arguments, run, takes_pytest_arguments=True
)
