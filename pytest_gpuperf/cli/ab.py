"""``gpuperf ab``: two git revisions, measured in turns on this machine."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gpuperf.cli.command import Command, say
from pytest_gpuperf.cli.judge import add_reports, add_rules, report, rules_of

if TYPE_CHECKING:
    from pytest_gpuperf.records.invocation import Invocation


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf ab`."""
    parser.add_argument("base", metavar="BASE", help="a branch, a tag or a commit")
    parser.add_argument("head", metavar="HEAD", nargs="?", default="HEAD", help="HEAD: with uncommitted changes (HEAD)")
    parser.add_argument(
        "--tests", choices=("head", "each"), default="head", help="HEAD's tests for both, or each side's own (head)"
    )
    parser.add_argument("--setup", metavar="CMD", help="builds a side, in its folder; may make .venv there")
    parser.add_argument(
        "--source", action="append", default=[], metavar="DIR", help="goes first on the path (src, then the top)"
    )
    parser.add_argument(
        "--also", action="append", default=[], metavar="PATH", help="belongs to the tests, though its name does not say"
    )
    parser.add_argument("--allow-same", action="store_true", help="both sides may measure the same code")
    parser.add_argument("--apart", action="store_true", help="one side after the other: both do not fit into memory")
    parser.add_argument("--budget", metavar="SECONDS", help="time for more than 5 launches of what stays open")
    parser.add_argument("--limit", default="600", metavar="SECONDS", help="a process silent for so long hangs (600)")
    add_reports(parser)
    add_rules(parser)
    parser.set_defaults(allow_environment=False)  # both sides run in one environment


def run(options: Namespace) -> int:
    """Print the report; the exit code is the gate's."""
    from pytest_gpuperf.ab.checkout import Preparation
    from pytest_gpuperf.ab.controller import Comparing, compare_revisions
    from pytest_gpuperf.records.units import parse_seconds

    rules, override = rules_of(options)
    judged = compare_revisions(
        Comparing(
            base=options.base,
            head=options.head,
            preparation=Preparation(
                setup=options.setup,
                tests=options.tests,
                sources=tuple(options.source),
                also=tuple(options.also),
                arguments=tuple(options.pytest_arguments),
            ),
            invocation=_invocation(options.pytest_arguments),
            allow_same=options.allow_same,
            apart=options.apart,
            budget=None if options.budget is None else parse_seconds(options.budget, "--budget"),
            limit=parse_seconds(options.limit, "--limit"),
            rules=rules,
            override=override,
            progress=say,
        )
    )
    return report(options, judged)


def _invocation(arguments: Sequence[str]) -> Invocation:
    """pytest measures all the tests that it is given, so what names some is repeated as it is."""
    from pytest_gpuperf.records.invocation import Invocation

    named = any(Path(a.partition("::")[0]).exists() for a in arguments)
    return Invocation(options=tuple(arguments), narrows=not named)


AB = Command("ab", "measure two git revisions in turns", add_arguments, run, takes_pytest_arguments=True)
