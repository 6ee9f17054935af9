"""``gpuperf study vit``: how a vision transformer's sizes change what a device does, in a study that can go on."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gpuperf.cli.command import Command, say
from pytest_gpuperf.cli.numbers import numbers

if TYPE_CHECKING:
    from pytest_gpuperf.records.vit_study import Scale, VitStudy
    from pytest_gpuperf.studies.run_vit_study import Measured, VitRun


def _questions(text: str) -> tuple[int, ...]:
    from pytest_gpuperf.comparison.vit_order import QUESTIONS

    found = numbers(text)
    unknown = [number for number in found if number not in QUESTIONS]
    if unknown:
        raise ArgumentTypeError(f"{unknown[0]} is none of: {', '.join(map(str, QUESTIONS))}")
    return found


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf study vit`."""
    parser.add_argument(
        "--rq",
        type=_questions,
        metavar="N,...",
        help="questions: 1 architecture, 2 resolution, 3 torch.compile, 4 NUMA, 5 pipeline (all of them)",
    )
    parser.add_argument(
        "--budget", default="30m", metavar="30m", help="begin no session that would end later (30m); 0: measure nothing"
    )
    parser.add_argument("--into", required=True, metavar="DIR", help="the study's folder: raw runs, and what they say")
    parser.add_argument("--scale", choices=("full", "smoke"), help="size of the models (smoke on the processor)")
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto, cuda, cuda:N or cpu")
    parser.add_argument("--retry", action="store_true", help="try again what failed before")


def run(options: Namespace) -> int:
    """Measure what fits the budget, then make the summary from all raw files that are there."""
    from pytest_gpuperf.records.units import parse_seconds
    from pytest_gpuperf.studies.run_vit_study import alone_in

    nothing = options.budget.strip().rstrip("smh") in {"0", "0.0"}
    budget = 0.0 if nothing else parse_seconds(options.budget, "--budget")
    folder = Path(options.into)
    with alone_in(folder):
        if budget:
            _measure(options, folder, budget)
        _summarise(folder)
    return 0


def _measure(options: Namespace, folder: Path, budget: float) -> None:
    from importlib import util

    from pytest_gpuperf.comparison.vit_order import QUESTIONS, stages_of
    from pytest_gpuperf.errors import MissingError
    from pytest_gpuperf.records.vit_space import SPACES
    from pytest_gpuperf.sessions.certify import identified
    from pytest_gpuperf.studies.run_vit_study import VitRun, fresh_process, refuse_other_studies

    for needed in ("torch", "timm"):
        if util.find_spec(needed) is None:
            raise MissingError(
                f"The study's models need {needed}, which is not installed. Install it with: "
                f"pip install 'pytest-gpuperf[suite]'"
            )
    environment = identified(options.device).environment
    scale: Scale = options.scale or ("smoke" if environment.device.kind == "cpu" else "full")
    refuse_other_studies(folder, scale, environment)
    study = VitRun(
        folder,
        stages_of(options.rq or QUESTIONS, SPACES[scale]),
        environment,
        fresh_process(options.device, scale),
        _progress,
        retry=options.retry,
    )
    before = sum(map(len, study.sessions.values()))
    say(f"on {environment.device.name}, scale {scale}: {before} sessions are there, {study.left} are wanted")
    try:
        study.go_on(budget)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_kept(study, folder)) from None
    if study.left:
        say(f"the budget of {options.budget} is used up, and {study.left} sessions are left: the same command goes on")


def _kept(study: VitRun, folder: Path) -> str:
    count = sum(map(len, study.sessions.values()))
    return f"{count} sessions are kept in {folder / 'raw'}; the same command goes on with the next"


def _progress(measured: Measured) -> None:
    from pytest_gpuperf.records.units import format_duration, format_seconds, many

    what = f"{measured.case.parameters}, session {measured.number}"
    result = f"failed: {measured.failed}" if measured.call is None else f"{format_seconds(measured.call)} a call"
    count = measured.sessions_left
    left = f"; {many(count, 'session')} to go, about {format_duration(measured.seconds_left)} left" if count else ""
    say(f"{what}: {result}{left}")


def _summarise(folder: Path) -> None:
    import os

    from pytest_gpuperf.comparison.vit_summary import scale_of, summarised
    from pytest_gpuperf.errors import SessionError
    from pytest_gpuperf.records.vit_study import Source
    from pytest_gpuperf.records.vit_study_files import attempts_of, earlier_differences, hashes, raw_runs
    from pytest_gpuperf.reports.document import as_text
    from pytest_gpuperf.reports.formats import terminal_width
    from pytest_gpuperf.reports.vit_study_report import summary

    raw, attempts = raw_runs(folder), attempts_of(folder)
    scale = scale_of(raw, attempts)
    if scale is None or not raw:
        whys = dict.fromkeys(a.failed for a in attempts if a.failed is not None)
        raise SessionError(
            f"{folder}: nothing is measured, so there is no summary. "
            + (f"What failed says: {'; '.join(whys)}" if whys else "Give it more time: --budget 30m")
        )
    sources = [Source(file=file, sha256=sha256) for file, sha256 in hashes(folder).items()]
    study = summarised(scale, raw, attempts, sources)
    differences = earlier_differences(folder)
    if differences is not None:
        say(f"the summary that stood there was of other files, and is made again: {differences}")
    names = _write(folder, study)
    print(f"{as_text(summary(study), terminal_width())}\n\nFiles: {folder}{os.sep}{', '.join(names)}")


def _write(folder: Path, study: VitStudy) -> list[str]:
    """The summary last: it stands for the others."""
    from pytest_gpuperf.records.files import replace, write_report
    from pytest_gpuperf.records.vit_study import SUMMARY
    from pytest_gpuperf.records.vit_study_files import write_summary
    from pytest_gpuperf.reports.charts.vit_charts import draw_vit_charts
    from pytest_gpuperf.reports.document import as_html, as_markdown
    from pytest_gpuperf.reports.vit_study_csv import sessions_csv
    from pytest_gpuperf.reports.vit_study_report import document

    charts = draw_vit_charts(study, "charts")
    for chart in charts:
        (folder / "charts").mkdir(exist_ok=True)
        for name, content in chart.files.items():
            replace(folder / name, content)
    blocks = document(study, [chart.picture for chart in charts])
    texts = {"study.md": as_markdown(blocks), "study.html": as_html(blocks), "sessions.csv": sessions_csv(study)}
    for name, text in texts.items():
        write_report(folder / name, text)
    write_summary(folder, study)
    return [*texts, SUMMARY, *(["charts"] if charts else [])]


STUDY_VIT = Command(
    "study vit", "measure how a vision transformer's sizes change throughput, efficiency and memory", add_arguments, run
)
