"""``gpuperf compare``: judge a recorded run as pytest would have judged it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pytest_gpuperf.cli.command import Command
from pytest_gpuperf.cli.judging import add_reports, add_rules, add_stored, judge, report


def add_arguments(parser: ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("baseline", metavar="BASELINE")
    parser.add_argument("candidate", metavar="RUN", help="a run file, from pytest --gpuperf-save")
    add_rules(parser)
    add_stored(parser)
    add_reports(parser)


def run(options: Namespace) -> int:
    """Print the report; the exit code is the gate's."""
    import gc

    from pytest_gpuperf.results.files import read_baseline, read_run

    gc.disable()  # a million records, none of them garbage before the process ends: looking costs a sixth of the time
    baseline = read_baseline(options.baseline)
    run = read_run(options.candidate)
    return report(options, judge(options, run, baseline, options.baseline, options.candidate))


COMPARE = Command("compare", "judge a recorded run against a baseline", add_arguments, run)
