"""``gpuperf import`` and ``gpuperf export``: from and to the files of other tools."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pytest_gpuperf.cli.command import Command


def _import_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf import`."""
    parser.add_argument("format", choices=("pytest-benchmark",), help="the tool that wrote the file")
    parser.add_argument("file", metavar="FILE", help="for pytest-benchmark: from pytest --benchmark-json")
    parser.add_argument("--into", required=True, metavar="RUN", help="the run file to write")


def _import(options: Namespace) -> int:
    """Write the run."""
    from pytest_gpuperf.records.files import content_of, write_run
    from pytest_gpuperf.records.units import many
    from pytest_gpuperf.reports.pytest_benchmark import imported

    made = imported(content_of(options.file), options.file)
    write_run(options.into, made)
    print(f"{options.into}: a run of {many(len(made.cases), 'case')}. See them: gpuperf show {options.into}")
    return 0


IMPORT = Command("import", "make a run of another tool's file", _import_arguments, _import)


def _export_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf export`."""
    parser.add_argument("run_file", metavar="RUN", help="a run file, from pytest --gpuperf-save")
    parser.add_argument("--format", choices=("pytest-benchmark",), required=True, help="the tool that will read it")
    parser.add_argument("--into", metavar="FILE", help="where to; printed where it is left out")


def _export(options: Namespace) -> int:
    """Write it."""
    from pytest_gpuperf.records.files import read_run, write_report
    from pytest_gpuperf.reports.pytest_benchmark import render_pytest_benchmark

    text = render_pytest_benchmark(read_run(options.run_file))
    if options.into is None:
        print(text, end="")
    else:
        write_report(Path(options.into), text)
    return 0


EXPORT = Command("export", "write a run in the format of another tool", _export_arguments, _export)
