"""``gpuperf plot``: latency and throughput by batch and precision, as pictures for a README."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from pytest_gpuperf.cli.command import Command

if TYPE_CHECKING:
    from pytest_gpuperf.results.records import Baseline, Run


def add_arguments(parser: ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument(
        "files", nargs="+", metavar="RUN", help="a run, or several of one device that are drawn as one; or a baseline"
    )
    parser.add_argument("--baseline", metavar="FILE", help="draw its sessions beside the run")
    parser.add_argument("--into", required=True, metavar="DIR", help="the folder that the pictures are written into")
    parser.add_argument("--format", default="png,svg", metavar="NAMES", help="png, svg or both (png,svg)")


def run(options: Namespace) -> int:
    """Write them, and print what to put into a README."""
    from pathlib import Path

    from pytest_gpuperf.analysis.comparison import refuse_other_device
    from pytest_gpuperf.errors import UsageError
    from pytest_gpuperf.reports.charts.drawing import FORMATS, require_matplotlib, write_charts
    from pytest_gpuperf.reports.charts.panels import panels
    from pytest_gpuperf.reports.figures import sessions
    from pytest_gpuperf.reports.tables import visible
    from pytest_gpuperf.results.files import read_baseline
    from pytest_gpuperf.results.records import Baseline

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
    source = "published figures" if published else sessions(len(measured.sessions))
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
    """Several runs of one kind of device are sessions of one."""
    from pytest_gpuperf.errors import DeviceError, UsageError
    from pytest_gpuperf.results.files import read_either, read_run
    from pytest_gpuperf.results.identity import device_differences
    from pytest_gpuperf.results.merging import with_sessions_of
    from pytest_gpuperf.results.records import Baseline

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


PLOT = Command("plot", "write charts by batch and precision as PNG and SVG", add_arguments, run)
