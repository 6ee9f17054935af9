"""``gpuperf compare``, ``merge`` and ``report``: a run that stands in a file is judged, joined or shown as a page."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gpuperf.cli.command import Command, say
from pytest_gpuperf.errors import UsageError

if TYPE_CHECKING:
    from pytest_gpuperf.comparison.findings import Rules
    from pytest_gpuperf.comparison.judged import JudgedRun
    from pytest_gpuperf.records.model import Baseline, Rule, Run


NAMED = 5  # failed tests named where there are many


def add_rules(parser: ArgumentParser) -> None:
    """Declare what decides the outcome."""
    parser.add_argument("--strict", action="store_true", help="fail on an inconclusive verdict")
    parser.add_argument(
        "--min-decided", default="80%", metavar="PERCENT", help="share of compared cases that must get a verdict (80%%)"
    )
    parser.add_argument("--allow-missing", action="store_true", help="let cases vanish or go unmeasured")
    parser.add_argument(
        "--tolerance",
        action="append",
        default=[],
        metavar="METRIC=3%",
        help="how much worse a metric may become; may be repeated; goes above what the tests say",
    )
    parser.add_argument(
        "--margin",
        default="auto",
        metavar="PERCENT",
        help="in which a case is unchanged: 5%%, or what its sessions can tell, up to a cap (auto:10%%)",
    )


def add_stored(parser: ArgumentParser) -> None:
    """Declare what goes with a stored baseline only."""
    parser.add_argument("--reference", metavar="FILE", help="judge against a pinned baseline too")
    parser.add_argument(
        "--allow-environment",
        action="store_true",
        help="let cases be slower by other versions of software, where no code changed",
    )


def add_reports(parser: ArgumentParser) -> None:
    """Declare where the report goes."""
    parser.add_argument("--format", choices=("table", "json", "markdown"), default="table")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the Markdown report to a file, too")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write figures and verdicts as CSV, one line a case")


def rules_of(options: Namespace) -> tuple[Rules, Rule]:
    """What decides the outcome, and what goes above the tests' own rules."""
    from pytest_gpuperf.comparison.findings import Rules
    from pytest_gpuperf.records.model import Rule
    from pytest_gpuperf.records.units import one_each, parse_margin, parse_share, parse_tolerance

    what = "--tolerance"
    rules = Rules(
        strict=options.strict,
        allow_missing=options.allow_missing,
        allow_environment=options.allow_environment,
        min_decided=parse_share(options.min_decided, "--min-decided"),
    )
    tolerance = one_each([parse_tolerance(text, what) for text in options.tolerance], what)
    return rules, Rule(tolerance=tolerance, **parse_margin(options.margin, "--margin"))


def judge(
    options: Namespace,
    run: Run,
    baseline: Baseline,
    name: str,
    recorded: str,
    trouble: tuple[str, ...] = (),
    into: str | None = None,
) -> JudgedRun:
    """The run in the file `recorded` against the baseline of that name, by the rules of the command line.

    `into`: where a baseline would stand, if the file of that name is none.
    """
    import msgspec

    from pytest_gpuperf.comparison.compare import compare
    from pytest_gpuperf.comparison.judged import PINNED_RULES, JudgedRun
    from pytest_gpuperf.records.files import read_baseline

    rules, override = rules_of(options)
    pinned = read_baseline(options.reference) if options.reference else None
    pinned_rules = msgspec.structs.replace(PINNED_RULES, allow_environment=rules.allow_environment)
    return JudgedRun(
        run=run,
        comparison=compare(run, baseline, name=name, rules=rules, override=override, recorded=recorded, into=into),
        reference=pinned and compare(run, pinned, name=options.reference, rules=pinned_rules, override=override),
        trouble=trouble,
    )


def report(options: Namespace, judged: JudgedRun) -> int:
    """Print and write it; gives the exit code."""
    from pytest_gpuperf.reports.annotations import deliver, github_annotations
    from pytest_gpuperf.reports.formats import FORMATS

    print(FORMATS[options.format](judged))
    if options.format == "table":  # the others are read by programs
        for line in github_annotations(judged, Path.cwd()):
            print(line)
    deliver(judged.run, judged, markdown=options.markdown, csv=options.csv)
    return judged.exit_code


def _compare_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf compare`."""
    parser.add_argument("baseline", metavar="BASELINE", help="or another run: one session tells gross changes only")
    parser.add_argument("candidate", metavar="RUN", help="a run file, from pytest --gpuperf-save")
    add_rules(parser)
    add_stored(parser)
    add_reports(parser)


def _compare(options: Namespace) -> int:
    """Print the report; the exit code is the gate's."""
    import gc

    from pytest_gpuperf.comparison.acceptance import accept
    from pytest_gpuperf.records.files import read_either, read_run
    from pytest_gpuperf.records.model import Run

    gc.disable()  # a million records, none of them garbage before the process ends: looking costs a sixth of the time
    before, run = read_either(options.baseline), read_run(options.candidate)
    into = None
    if isinstance(before, Run):
        into = f"baselines/{before.environment.device.slug}.json"
        before = accept(None, [before], {}, few=True).baseline
    return report(options, judge(options, run, before, options.baseline, options.candidate, into=into))


COMPARE = Command("compare", "judge a recorded run against a baseline", _compare_arguments, _compare)


def _merge_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf merge`."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="one run file a shard, from pytest --gpuperf-save")
    parser.add_argument("--into", required=True, metavar="MERGED", help="the run file to write")
    parser.add_argument("--shards", type=int, metavar="N", help="how many there must be: a job that died left none")
    parser.add_argument("--compare", metavar="BASELINE", help="judge the whole")
    add_rules(parser)
    add_stored(parser)
    add_reports(parser)


def _merge(options: Namespace) -> int:
    """Write the run; the exit code is the gate's where it is judged."""
    from pytest_gpuperf.records.files import read_baseline, read_run, write_run
    from pytest_gpuperf.records.merge import dirty, joined
    from pytest_gpuperf.records.units import many

    if options.shards is not None and len(options.runs) != options.shards:
        raise UsageError(
            f"--shards {options.shards}, and {many(len(options.runs), 'run')} given. The cases of a missing shard "
            f"would go unjudged: see why its job left no run, and run it again."
        )
    _refuse_twice(options.runs)
    merged = joined({path: read_run(path) for path in options.runs})
    baseline = read_baseline(options.compare) if options.compare else None
    write_run(options.into, merged)
    say(f"{options.into}: {many(len(merged.cases), 'case')} of {many(len(options.runs), 'shard')}")
    if dirty(merged):
        say("the shards had uncommitted changes, so they may have measured different code")
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
    """A sentence on the tests that failed in their shards: those jobs may have gone on, so it must fail here."""
    failed = [f"{test} ({why})" for test, why in unmeasured.items() if why.startswith("failed")]
    more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
    from pytest_gpuperf.records.units import many

    where = "its shard" if len(failed) == 1 else "their shards"
    return (f"{many(len(failed), 'test')} failed in {where}: {', '.join(failed[:NAMED])}{more}.",) if failed else ()


MERGE = Command("merge", "join the shards of one suite, and judge the whole", _merge_arguments, _merge)


def _report_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf report`."""
    parser.add_argument("run_file", metavar="RUN", help="a run file, from pytest --gpuperf-save")
    parser.add_argument("--baseline", metavar="FILE", help="judge the run against it, as `gpuperf compare` does")
    parser.add_argument(
        "--html", required=True, type=Path, metavar="DIR", help="the folder that index.html is written into"
    )
    add_rules(parser)
    add_stored(parser)


def _report(options: Namespace) -> int:
    """Write the page; the exit code says that it was written, and nothing of the verdict."""
    from pytest_gpuperf.records.files import read_baseline, read_run
    from pytest_gpuperf.reports.html.page import Subject
    from pytest_gpuperf.reports.html.rendering import require_jinja2, write_html

    require_jinja2()
    if options.reference and not options.baseline:
        raise UsageError("--reference goes with --baseline: it shows what accepted losses add up to. Give both.")
    measured = read_run(options.run_file)
    baseline = read_baseline(options.baseline) if options.baseline else None
    judged = judge(options, measured, baseline, options.baseline, options.run_file) if baseline else None
    print(f"Report: {write_html(options.html, Subject(run=measured, judged=judged, baseline=baseline))}")
    return 0


REPORT = Command("report", "write a run as a page to look at", _report_arguments, _report)
