"""``gpuperf why``: which kernels a case runs, and what changed in them since the baseline."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from pytest_gpuperf.cli.command import Command

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_gpuperf.results.records import Run


def add_arguments(parser: ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("candidate", metavar="RUN", help="a run file, from pytest --gpuperf-save")
    parser.add_argument(
        "case", metavar="CASE", nargs="?", help="its id, or a part of it; else each that regressed or improved"
    )
    parser.add_argument("--baseline", metavar="BASELINE", help="what to compare with; else only what ran is printed")


def run(options: Namespace) -> int:
    """Print it."""
    from pytest_gpuperf.results.files import read_run

    candidate = read_run(options.candidate)
    asked = _asked(candidate, options.case)
    shown = _compared(candidate, options.baseline, asked) if options.baseline else _ran(candidate, asked)
    print("\n\n".join(shown))
    return 0


def _asked(candidate: Run, part: str | None) -> list[str] | None:
    """The cases that were asked for by name."""
    from pytest_gpuperf.errors import UsageError

    if part is None:
        return None
    cases = [c.id for c in candidate.cases]
    found = [part] if part in cases else [case for case in cases if part in case]
    if not found:
        raise UsageError(
            f"No case of this run is called {part!r}, or has that in its name. List them: gpuperf show RUN"
        )
    return found


def _ran(candidate: Run, asked: Sequence[str] | None) -> list[str]:
    from pytest_gpuperf.reports.formats import terminal_width
    from pytest_gpuperf.reports.kernels import render_profile

    width = terminal_width()
    cases = [c for c in candidate.cases if asked is None or c.id in asked]
    shown = [render_profile(c.id, c.profile, width) for c in cases if c.profile is not None]
    return shown or ["This run keeps no kernels: they are kept of calls that run torch and take a few seconds at most."]


def _compared(candidate: Run, baseline_path: str, asked: Iterable[str] | None) -> list[str]:
    from pytest_gpuperf.analysis.comparison import compare, moved
    from pytest_gpuperf.analysis.explaining import explanations
    from pytest_gpuperf.reports.formats import terminal_width
    from pytest_gpuperf.reports.kernels import render_why
    from pytest_gpuperf.results.files import read_baseline

    baseline = read_baseline(baseline_path)
    comparison = compare(candidate, baseline, name=baseline_path)
    explained = explanations(candidate, baseline, moved(comparison.findings) if asked is None else asked)
    width = terminal_width()
    shown = [
        render_why(case, [f for f in comparison.findings if f.case == case], explanation, width)
        for case, explanation in explained.items()
    ]
    if asked is None and not shown:
        return ["No case regressed or improved. Name one to see its kernels beside the baseline's: gpuperf why --help"]
    return shown or [f"{baseline_path} does not know this case. List its cases: gpuperf show {baseline_path}"]


WHY = Command("why", "print which kernels a case runs, and what changed in them", add_arguments, run)
