"""``gpuperf matrix``: which model runs on which back end in which precision here, or why not."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from importlib import util

from pytest_gpuperf.cli.command import Command


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf matrix`."""
    parser.add_argument("models", nargs="*", metavar="MODEL", help="all that have a name; timm's as timm:NAME")
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto, cuda, cuda:N or cpu")


def run(options: Namespace) -> int:
    """Print it. What a back end can do it can do with every model that can be built, so that is printed once."""
    from pytest_gpuperf.errors import MissingError

    if util.find_spec("torch") is None:
        raise MissingError("The matrix is of what torch can run. Install it with: pip install 'pytest-gpuperf[suite]'")
    from pytest_gpuperf.device.choice import choose_device
    from pytest_gpuperf.models import known, names, why_not
    from pytest_gpuperf.reports.formats import terminal_width
    from pytest_gpuperf.reports.tables import prose

    chosen = choose_device(options.device)
    device = "cpu" if chosen.index is None else f"cuda:{chosen.index}"
    reasons = {name: why_not(known(name)) for name in options.models or names()}
    built = [name for name, reason in reasons.items() if reason is None]
    print(f"on {chosen.device.name} ({device})\n")
    for name, reason in reasons.items():
        if reason is not None:
            print("\n".join(prose(f"{name}: no: {reason}", terminal_width(), hanging="  ")))
    if built:
        print("\n".join(prose(f"{', '.join(built)}:", terminal_width(), hanging="  ")))
        for line in _backends(device):
            print("\n".join(prose(line, terminal_width(), "  " if line.endswith(":") else "    ", "      ")))
    return 0


def _backends(device: str) -> Iterator[str]:
    """For each back end a line, then those of its answers."""
    from pytest_gpuperf.backends import PRECISIONS, RISKY, names, why_not

    for backend in names():
        answers: dict[str, list[str]] = {}
        for precision in PRECISIONS:
            reason = why_not(backend, precision, device)
            risk = RISKY.get((backend, precision))
            answer = f"no: {reason}" if reason else f"risky: {risk}" if risk else "yes"
            answers.setdefault(answer, []).append(precision)
        yield f"{backend}:"
        yield from (f"{', '.join(precisions)}: {answer}" for answer, precisions in answers.items())


MATRIX = Command("matrix", "print which model runs on which back end in which precision here", add_arguments, run)
