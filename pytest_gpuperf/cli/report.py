"""``gpuperf report``: a recorded run, judged or not, as a page to look at."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pytest_gpuperf.cli.command import Command
from pytest_gpuperf.cli.judging import add_rules, add_stored, judge


def add_arguments(parser: ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("run_file", metavar="RUN", help="a run file, from pytest --gpuperf-save")
    parser.add_argument("--baseline", metavar="FILE", help="judge the run against it, as `gpuperf compare` does")
    parser.add_argument(
        "--html", required=True, type=Path, metavar="DIR", help="the folder that index.html is written into"
    )
    add_rules(parser)
    add_stored(parser)


def run(options: Namespace) -> int:
    """Write the page; the exit code says that it was written, and nothing of the verdict."""
    from pytest_gpuperf.errors import UsageError
    from pytest_gpuperf.reports.html.rendering import require_jinja2, write_html
    from pytest_gpuperf.reports.html.subject import Subject
    from pytest_gpuperf.results.files import read_baseline, read_run

    require_jinja2()
    if options.reference and not options.baseline:
        raise UsageError("--reference goes with --baseline: it shows what accepted losses add up to. Give both.")
    measured = read_run(options.run_file)
    baseline = read_baseline(options.baseline) if options.baseline else None
    judged = judge(options, measured, baseline, options.baseline, options.run_file) if baseline else None
    print(f"Report: {write_html(options.html, Subject(run=measured, judged=judged, baseline=baseline))}")
    return 0


REPORT = Command("report", "write a run as a page to look at", add_arguments, run)
