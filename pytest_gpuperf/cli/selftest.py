"""``gpuperf selftest``: the instrument's certificate on this machine."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from pytest_gpuperf.cli.command import Command, say

if TYPE_CHECKING:
    from pytest_gpuperf.records.certificate import Part


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf selftest`."""
    parser.add_argument(
        "--parts",
        metavar="PART,...",
        help="only some of: timing, evidence, memory, power, gate",
    )
    parser.add_argument("--budget", metavar="2m", help="take no longer: the least telling rows are left out, and named")
    parser.add_argument(
        "--rounds", type=int, default=10, metavar="N", help="of the gate, each a session of every slow-down (10)"
    )
    parser.add_argument("--format", choices=("markdown", "json", "html"), default="markdown")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def run(options: Namespace) -> int:
    """Look at the instrument; judge the gate by the tests after ``--``, or by built-in workloads."""
    from pytest_gpuperf.errors import FileError
    from pytest_gpuperf.records.units import parse_seconds
    from pytest_gpuperf.reports.certificate_report import FORMATS
    from pytest_gpuperf.sessions.certify import certify, keep

    parts = _parts(options.parts)
    budget = None if options.budget is None else parse_seconds(options.budget, "--budget")
    found = certify(
        parts,
        options.device,
        budget=budget,
        rounds=options.rounds,
        arguments=options.pytest_arguments,
        progress=say,
    )
    print(FORMATS[options.format](found))
    if options.parts is None:
        try:
            keep(found)
        except (FileError, OSError) as error:
            say(f"gpuperf doctor will not know of it, since it cannot be kept: {error}")
    return 1 if found.count("fails") else 0


def _parts(text: str | None) -> tuple[Part, ...]:
    from pytest_gpuperf.errors import UsageError
    from pytest_gpuperf.records.certificate import PARTS

    if text is None:
        return PARTS
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise UsageError(f"--parts {text}: {unknown[0]!r} is not one of: {', '.join(PARTS)}")
    return tuple(part for part in PARTS if part in names)


SELFTEST = Command(
    "selftest",
    "certify the instrument on this machine: timing, evidence, memory, power, and how often the gate is wrong",
    add_arguments,
    run,
    takes_pytest_arguments=True,
)
