"""What a subcommand is, and how a long one says how far it is."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass

from pytest_gpuperf.reports.tables import inert, visible


@dataclass(frozen=True)
class Command:
    """One subcommand: a file of its own, and one line in `cli.arguments`."""

    name: str
    help: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int]  # gives the exit code
    takes_pytest_arguments: bool = False  # those after "--"


def say(text: str) -> None:
    """A line of progress, apart from the report."""
    print(inert(f"gpuperf: {visible(text)}"), file=sys.stderr, flush=True)
