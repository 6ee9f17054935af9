"""``gpuperf compare``: judge a recorded run as pytest would have judged it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pytest_gpuperf.cli.command import Command


def add_arguments(parser: ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("baseline", metavar="BASELINE")
    parser.add_argument("candidate", metavar="RUN", help="a run file, from pytest --gpuperf-save")
    parser.add_argument("--format", choices=("table", "json", "markdown"), default="table")
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
    parser.add_argument("--reference", metavar="FILE", help="judge against a pinned baseline too")


def run(options: Namespace) -> int:
    """Print the report; the exit code is the gate's."""
    import gc

    from pytest_gpuperf.analysis.comparison import Rules, compare
    from pytest_gpuperf.reports.formats import FORMATS
    from pytest_gpuperf.reports.judged import PINNED_RULES, Judged
    from pytest_gpuperf.results.files import read_baseline, read_run
    from pytest_gpuperf.results.records import Rule
    from pytest_gpuperf.results.tolerances import one_each, parse_share, parse_tolerance

    gc.disable()  # a million records, none of them garbage before the process ends: looking costs a sixth of the time
    what = "--tolerance"
    override = Rule(tolerance=one_each([parse_tolerance(text, what) for text in options.tolerance], what))
    rules = Rules(
        strict=options.strict,
        allow_missing=options.allow_missing,
        min_decided=parse_share(options.min_decided, "--min-decided"),
    )
    baseline = read_baseline(options.baseline)
    candidate = read_run(options.candidate)
    pinned = read_baseline(options.reference) if options.reference else None
    judged = Judged(
        run=candidate,
        comparison=compare(candidate, baseline, name=options.baseline, rules=rules, override=override),
        reference=pinned and compare(candidate, pinned, name=options.reference, rules=PINNED_RULES, override=override),
    )
    print(FORMATS[options.format](judged))
    return judged.exit_code


COMPARE = Command("compare", "judge a recorded run against a baseline", add_arguments, run)
