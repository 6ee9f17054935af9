"""``gpuperf export``: a run in the format of another tool."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pytest_gpuperf.cli.command import Command


def add_arguments(parser: ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("run_file", metavar="RUN", help="a run file, from pytest --gpuperf-save")
    parser.add_argument("--format", choices=("pytest-benchmark",), required=True, help="the tool that will read it")
    parser.add_argument("--into", metavar="FILE", help="where to; printed where it is left out")


def run(options: Namespace) -> int:
    """Write it."""
    from pytest_gpuperf.reports.pytest_benchmark import render_pytest_benchmark
    from pytest_gpuperf.results.files import read_run, write_report

    text = render_pytest_benchmark(read_run(options.run_file))
    if options.into is None:
        print(text, end="")
    else:
        write_report(Path(options.into), text)
    return 0


EXPORT = Command("export", "write a run in the format of another tool", add_arguments, run)
