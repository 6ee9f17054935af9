"""``gpuperf ratios``: what a precision, a back end or a batch gains over the reference level, within one file."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pytest_gpuperf.cli.command import Command


def add_arguments(parser: ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("file", metavar="FILE", help="a run or a baseline")
    parser.add_argument(
        "--over", required=True, metavar="PARAMETER", help="what the tests are parametrized with: precision, batch, ..."
    )
    parser.add_argument(
        "--reference", metavar="LEVEL", help="what the others are held against (fp32, eager, the smallest number)"
    )
    parser.add_argument("--format", choices=("table", "csv"), default="table")


def run(options: Namespace) -> int:
    """Print them."""
    from pytest_gpuperf.analysis.ratios import ratios
    from pytest_gpuperf.reports.formats import terminal_width
    from pytest_gpuperf.reports.ratios import render_csv, render_ratios
    from pytest_gpuperf.results.files import read_either

    found = ratios(read_either(options.file), options.over, options.reference)
    print(render_csv(found).rstrip() if options.format == "csv" else render_ratios(found, terminal_width()))
    return 0


RATIOS = Command("ratios", "print speed-ups and changes within one run or baseline", add_arguments, run)
