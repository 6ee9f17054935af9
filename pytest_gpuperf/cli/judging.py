"""The rules of a verdict, judging a run that stands in a file, and handing the report over: shared by commands."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_gpuperf.analysis.findings import Rules
    from pytest_gpuperf.reports.judged import Judged
    from pytest_gpuperf.results.records import Baseline, Rule, Run


def add_rules(parser: ArgumentParser) -> None:
    """Declare what decides the outcome."""
    parser.add_argument("--strict", action="store_true", help="let an inconclusive verdict fail")
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
    from pytest_gpuperf.analysis.findings import Rules
    from pytest_gpuperf.results.records import Rule
    from pytest_gpuperf.results.tolerances import one_each, parse_margin, parse_share, parse_tolerance

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
) -> Judged:
    """The run in the file `recorded` against the baseline of that name, by the rules of the command line.

    `into`: where a baseline would stand, if the file of that name is none.
    """
    import msgspec

    from pytest_gpuperf.analysis.comparison import compare
    from pytest_gpuperf.reports.judged import PINNED_RULES, Judged
    from pytest_gpuperf.results.files import read_baseline

    rules, override = rules_of(options)
    pinned = read_baseline(options.reference) if options.reference else None
    pinned_rules = msgspec.structs.replace(PINNED_RULES, allow_environment=rules.allow_environment)
    return Judged(
        run=run,
        comparison=compare(run, baseline, name=name, rules=rules, override=override, recorded=recorded, into=into),
        reference=pinned and compare(run, pinned, name=options.reference, rules=pinned_rules, override=override),
        trouble=trouble,
    )


def report(options: Namespace, judged: Judged) -> int:
    """Print and write it; gives the exit code."""
    from pytest_gpuperf.reports.delivery import deliver, github_annotations
    from pytest_gpuperf.reports.formats import FORMATS

    print(FORMATS[options.format](judged))
    if options.format == "table":  # the others are read by programs
        for line in github_annotations(judged, Path.cwd()):
            print(line)
    deliver(judged.run, judged, markdown=options.markdown, csv=options.csv)
    return judged.exit_code
