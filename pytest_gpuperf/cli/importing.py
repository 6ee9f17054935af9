"""``gpuperf import``: a run out of another tool's file."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pytest_gpuperf.cli.command import Command


def add_arguments(parser: ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("format", choices=("pytest-benchmark",), help="the tool that wrote the file")
    parser.add_argument("file", metavar="FILE", help="for pytest-benchmark: from pytest --benchmark-json")
    parser.add_argument("--into", required=True, metavar="RUN", help="the run file to write")


def run(options: Namespace) -> int:
    """Write the run."""
    from pytest_gpuperf.analysis.pytest_benchmark import imported
    from pytest_gpuperf.results.files import content_of, write_run
    from pytest_gpuperf.results.units import many

    made = imported(content_of(options.file), options.file)
    write_run(options.into, made)
    print(f"{options.into}: a run of {many(len(made.cases), 'case')}. See them: gpuperf show {options.into}")
    return 0


IMPORT = Command("import", "make a run of another tool's file", add_arguments, run)
