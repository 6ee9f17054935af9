"""What a subcommand is."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One subcommand: a file of its own, and one line in `cli.arguments`."""

    name: str
    help: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int]  # gives the exit code
    takes_pytest_arguments: bool = False  # those after "--"
