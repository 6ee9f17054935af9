"""``gpuperf show``, ``why``, ``ratios`` and ``plot``: what stands in a file, read in four ways."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from pytest_gpuperf.cli.command import Command

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_gpuperf.records.model import Baseline, Run


def _show_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf show`."""
    parser.add_argument("file", metavar="FILE", help="a run, a baseline, or the study.json of a study")


def _show(options: Namespace) -> int:
    """Print it."""
    from pytest_gpuperf.records.envelope import BASELINE
    from pytest_gpuperf.records.files import content_of, read_either
    from pytest_gpuperf.records.model import Run
    from pytest_gpuperf.records.vit_study_files import is_summary, read_summary
    from pytest_gpuperf.reports.document import as_text
    from pytest_gpuperf.reports.formats import terminal_width
    from pytest_gpuperf.reports.show import baseline_contents, run_contents
    from pytest_gpuperf.reports.vit_study_report import document

    width = terminal_width()
    if is_summary(content_of(options.file, BASELINE)):
        print(as_text(document(read_summary(options.file)), width))
        return 0
    found = read_either(options.file)
    if isinstance(found, Run):
        print(run_contents(options.file, found, width))
    else:
        print(baseline_contents(options.file, found, width))
    return 0


SHOW = Command("show", "print what a run, a baseline or a study holds", _show_arguments, _show)


def _why_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf why`."""
    parser.add_argument("candidate", metavar="RUN", help="a run file, from pytest --gpuperf-save")
    parser.add_argument(
        "case", metavar="CASE", nargs="?", help="its id, or a part of it; else each that regressed or improved"
    )
    parser.add_argument("--baseline", metavar="BASELINE", help="what to compare with; else only what ran is printed")


def _why(options: Namespace) -> int:
    """Print it."""
    from pytest_gpuperf.records.files import read_run

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
    from pytest_gpuperf.reports.why import render_profile

    width = terminal_width()
    cases = [c for c in candidate.cases if asked is None or c.id in asked]
    shown = [render_profile(c.id, c.profile, width) for c in cases if c.profile is not None]
    return shown or ["This run keeps no kernels: they are kept of calls that run torch and take a few seconds at most."]


def _compared(candidate: Run, baseline_path: str, asked: Iterable[str] | None) -> list[str]:
    from pytest_gpuperf.causes.explain import explanations
    from pytest_gpuperf.comparison.compare import compare, moved
    from pytest_gpuperf.records.files import read_baseline
    from pytest_gpuperf.reports.formats import terminal_width
    from pytest_gpuperf.reports.why import render_why

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


WHY = Command("why", "print which kernels a case runs, and what changed in them", _why_arguments, _why)


def _ratios_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf ratios`."""
    parser.add_argument("file", metavar="FILE", help="a run or a baseline")
    parser.add_argument(
        "--over", required=True, metavar="PARAMETER", help="what the tests are parametrized with: precision, batch, ..."
    )
    parser.add_argument(
        "--reference", metavar="LEVEL", help="what the others are held against (fp32, eager, the smallest number)"
    )
    parser.add_argument("--format", choices=("table", "csv"), default="table")


def _ratios(options: Namespace) -> int:
    """Print them."""
    from pytest_gpuperf.comparison.ratios import ratios
    from pytest_gpuperf.records.files import read_either
    from pytest_gpuperf.reports.formats import terminal_width
    from pytest_gpuperf.reports.ratios_report import render_csv, render_ratios

    found = ratios(read_either(options.file), options.over, options.reference)
    print(render_csv(found).rstrip() if options.format == "csv" else render_ratios(found, terminal_width()))
    return 0


RATIOS = Command("ratios", "print speed-ups and changes within one run or baseline", _ratios_arguments, _ratios)


def _plot_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf plot`."""
    parser.add_argument(
        "files", nargs="+", metavar="RUN", help="a run, or several of one device that are drawn as one; or a baseline"
    )
    parser.add_argument("--baseline", metavar="FILE", help="draw its sessions beside the run")
    parser.add_argument("--into", required=True, metavar="DIR", help="the folder that the pictures are written into")
    parser.add_argument("--format", default="png,svg", metavar="NAMES", help="png, svg or both (png,svg)")


def _plot(options: Namespace) -> int:
    """Write them, and print what to put into a README."""
    from pathlib import Path

    from pytest_gpuperf.comparison.compare import refuse_other_device
    from pytest_gpuperf.errors import UsageError
    from pytest_gpuperf.records.files import read_baseline
    from pytest_gpuperf.records.model import Baseline
    from pytest_gpuperf.records.units import many
    from pytest_gpuperf.reports.charts.drawing import FORMATS, require_matplotlib, write_charts
    from pytest_gpuperf.reports.charts.panels import panels
    from pytest_gpuperf.reports.tables import visible

    formats = list(dict.fromkeys(options.format.split(",")))
    if not set(formats) <= set(FORMATS):
        raise UsageError(f"--format {options.format}: choose png, svg or png,svg.")
    require_matplotlib()
    measured = _measured(options.files)
    baseline = read_baseline(options.baseline) if options.baseline else None
    if baseline is not None:
        refuse_other_device(measured.environment, baseline, options.baseline)
    where = measured.environment
    versions = ", ".join(f"{name} {version}" for name, version in sorted(where.software.items()))
    published = isinstance(measured, Baseline) and measured.provenance == "published"
    source = "published figures" if published else many(len(measured.sessions), "session")
    caption = "; ".join(filter(None, (where.device.name, versions, source)))
    for panel, paths in write_charts(panels(measured, baseline), Path(options.into), formats, caption):
        print(f"<!-- {' '.join(map(visible, map(str, paths)))} -->")
        print(_picture(visible(panel.title), *map(str, paths[-2:])))
    return 0


def _picture(title: str, light: str, dark: str) -> str:
    """What to put into a README: the browser takes the one that suits its theme."""
    from html import escape
    from urllib.parse import quote

    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{quote(dark)}">'
        f'<img src="{quote(light)}" alt="Latency and throughput of {escape(title)}"></picture>'
    )


def _measured(paths: list[str]) -> Run | Baseline:
    """What is drawn. Several runs of one kind of device are joined into one."""
    from pytest_gpuperf.errors import DeviceError, UsageError
    from pytest_gpuperf.records.files import read_either, read_run
    from pytest_gpuperf.records.merge import with_sessions_of
    from pytest_gpuperf.records.model import Baseline
    from pytest_gpuperf.records.same_device import device_differences

    first = read_either(paths[0])
    if isinstance(first, Baseline):
        if len(paths) > 1:
            raise UsageError(f"{paths[0]} is a baseline, which is drawn by itself. Draw it beside a run: --baseline.")
        return first
    others = [read_run(path) for path in paths[1:]]
    for path, other in zip(paths[1:], others, strict=True):
        differences = device_differences(first.environment.device, other.environment.device)
        if differences:
            what = "; ".join(differences)
            raise DeviceError(f"{path} is of another device than {paths[0]}: {what}. Draw each by itself.")
    return with_sessions_of(first, others)


PLOT = Command("plot", "write charts by batch and precision as PNG and SVG", _plot_arguments, _plot)
