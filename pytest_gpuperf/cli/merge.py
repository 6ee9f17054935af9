"""``gpuperf merge``: the shards of one suite, measured by several jobs, as one run; and its verdict."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence

from pytest_gpuperf.cli.command import Command
from pytest_gpuperf.cli.judging import add_reports, add_rules, add_stored, judge, report
from pytest_gpuperf.errors import UsageError

NAMED = 5  # failed tests named where there are many


def add_arguments(parser: ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="one run file a shard, from pytest --gpuperf-save")
    parser.add_argument("--into", required=True, metavar="MERGED", help="the run file to write")
    parser.add_argument("--shards", type=int, metavar="N", help="how many there must be: a job that died left none")
    parser.add_argument("--compare", metavar="BASELINE", help="judge the whole")
    add_rules(parser)
    add_stored(parser)
    add_reports(parser)


def run(options: Namespace) -> int:
    """Write the run; the exit code is the gate's where it is judged."""
    from pytest_gpuperf.results.files import read_baseline, read_run, write_run
    from pytest_gpuperf.results.shards import dirty, joined
    from pytest_gpuperf.results.units import many

    if options.shards is not None and len(options.runs) != options.shards:
        raise UsageError(
            f"{options.shards} shards were to be merged, and here {'is' if len(options.runs) == 1 else 'are'} "
            f"{len(options.runs)}. A missing one's cases would "
            f"go unjudged. See why its job left no run, and run it again."
        )
    _refuse_twice(options.runs)
    merged = joined({path: read_run(path) for path in options.runs})
    baseline = read_baseline(options.compare) if options.compare else None
    write_run(options.into, merged)
    print(f"{options.into}: {many(len(merged.cases), 'case')} of {many(len(options.runs), 'shard')}", file=sys.stderr)
    if dirty(merged):
        print(
            "gpuperf: the checkouts had uncommitted changes: that every shard measured the same is not known",
            file=sys.stderr,
        )
    if baseline is None:
        return 0
    failed = _failed(merged.scope.unmeasured)
    return report(options, judge(options, merged, baseline, options.compare, options.into, failed))


def _refuse_twice(runs: Sequence[str]) -> None:
    files = [os.path.realpath(path) for path in runs]
    for number, file in enumerate(files):
        if file in files[:number]:
            raise UsageError(f"{runs[number]} was given twice. Each shard's run is given once.")


def _failed(unmeasured: Mapping[str, str]) -> tuple[str, ...]:
    """A shard's own job may be told to go on, so that the whole is judged: what failed there must fail here."""
    failed = [f"{test} ({why})" for test, why in unmeasured.items() if why.startswith("failed")]
    more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
    return (f"{len(failed)} tests failed in their shards: {', '.join(failed[:NAMED])}{more}.",) if failed else ()


MERGE = Command("merge", "join the shards of one suite, and judge the whole", add_arguments, run)
