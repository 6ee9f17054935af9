"""``gpuperf compare``: judge a recorded run as pytest would have judged it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pytest_gpuperf.cli.command import Command
from pytest_gpuperf.cli.judging import add_reports, add_rules, add_stored, judge, report


def add_arguments(parser: ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("baseline", metavar="BASELINE", help="or another run: one session tells gross changes only")
    parser.add_argument("candidate", metavar="RUN", help="a run file, from pytest --gpuperf-save")
    add_rules(parser)
    add_stored(parser)
    add_reports(parser)


def run(options: Namespace) -> int:
    """Print the report; the exit code is the gate's."""
    import gc

    from pytest_gpuperf.analysis.acceptance import accept
    from pytest_gpuperf.results.files import read_either, read_run
    from pytest_gpuperf.results.records import Run

    gc.disable()  # a million records, none of them garbage before the process ends: looking costs a sixth of the time
    before, run = read_either(options.baseline), read_run(options.candidate)
    into = None
    if isinstance(before, Run):
        into = f"baselines/{before.environment.device.slug}.json"
        before = accept(None, [before], {}, few=True).baseline
    return report(options, judge(options, run, before, options.baseline, options.candidate, into=into))


COMPARE = Command("compare", "judge a recorded run against a baseline", add_arguments, run)
