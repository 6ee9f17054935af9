"""``gpuperf serve-study``: serving back ends side by side, from cold start to many requests at once."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from pytest_gpuperf.cli.command import Command
from pytest_gpuperf.cli.numbers import number, numbers

if TYPE_CHECKING:
    from pytest_gpuperf.records.study import BackendStudy

BACKENDS = ("torch", "triton-onnx", "triton-torch")
PROTOCOLS = ("binary", "json")


def _some(*choices: str) -> Callable[[str], tuple[str, ...]]:
    def words(text: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(text.split(",")))
        unknown = [word for word in found if word not in choices]
        if unknown:
            raise ArgumentTypeError(f"{unknown[0]!r} is none of: {', '.join(choices)}")
        return found

    return words


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf serve-study`."""
    parser.add_argument("workload", metavar="WORKLOAD", help="a model's name: gpuperf matrix lists them")
    parser.add_argument("--backends", type=_some(*BACKENDS), default=BACKENDS[:2], metavar="NAME,...")
    parser.add_argument("--batches", type=numbers, default=(1, 4, 8, 16, 32), metavar="N,...", help="one at a time")
    parser.add_argument("--concurrency", type=numbers, default=(16,), metavar="N,...", help="requests at once")
    parser.add_argument("--requests", type=number, default=200, metavar="N", help="of a window; three must agree")
    parser.add_argument("--protocol", type=_some(*PROTOCOLS), default=PROTOCOLS, metavar="NAME,...")
    parser.add_argument(
        "--rounds", type=number, default=3, metavar="N", help="lives of each server: intervals need two"
    )
    parser.add_argument("--scale", choices=("full", "smoke"), help="size of the model (smoke on the processor)")
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto, cuda, cuda:N or cpu")
    parser.add_argument("--instances", type=number, default=1, metavar="N", help="of the model, on the device")
    parser.add_argument("--window-seconds", type=float, default=1.0, metavar="S", help="of a window, at least")
    parser.add_argument("--into", default="serving-study", metavar="DIR", help="where the files go")
    parser.add_argument("--torch-url", metavar="HOST:PORT", help="a torch server that runs already")
    parser.add_argument("--triton-url", metavar="HOST:PORT", help="a Triton server that runs already")


def run(options: Namespace) -> int:
    """Make the study, write its files, and print what it found."""
    from importlib import util
    from pathlib import Path

    from pytest_gpuperf.errors import MissingError
    from pytest_gpuperf.records.files import replace
    from pytest_gpuperf.records.study_files import write_study
    from pytest_gpuperf.reports.document import as_html, as_markdown, as_text
    from pytest_gpuperf.reports.formats import terminal_width
    from pytest_gpuperf.reports.study_report import document
    from pytest_gpuperf.serving.contender import say_if_stopped

    if util.find_spec("torch") is None:
        raise MissingError(
            "A study serves a model of torch's. Install it with: pip install 'pytest-gpuperf[suite,onnx,serving]'"
        )
    studies = _studied(options)
    into = Path(options.into)
    stamp = studies[0].time.replace(":", "").replace("-", "")
    stem = f"{options.workload.replace('/', '_').replace(':', '_')}-{stamp}"
    for study in studies:
        write_study(into / f"{stem}-{study.backend}.json", study)
    blocks = document(studies)
    replace(into / f"{stem}.md", as_markdown(blocks).encode())
    replace(into / f"{stem}.html", as_html(blocks).encode())
    print(f"\n{as_text(blocks, terminal_width())}\n\nFiles: {into / stem}-*.json, .md, .html")
    say_if_stopped(len(studies[0].rounds), studies[0].asked.rounds)
    return 0


def _studied(options: Namespace) -> list[BackendStudy]:
    from dataclasses import replace

    from pytest_gpuperf.device.choice import choose_device
    from pytest_gpuperf.models import load
    from pytest_gpuperf.records.study import Asked
    from pytest_gpuperf.serving.contender import Contender
    from pytest_gpuperf.serving.deployment import Deployment
    from pytest_gpuperf.serving.load_server import LoadPlan
    from pytest_gpuperf.serving.run_study import serving, study

    chosen = choose_device(options.device)
    scale = options.scale or ("smoke" if chosen.index is None else "full")
    workload = load(options.workload, scale)
    device = "cpu" if chosen.index is None else f"cuda:{chosen.index}"
    deployment = Deployment(devices=(device,), instances=options.instances, max_batch=max(options.batches))
    urls = {"torch": options.torch_url, "triton-onnx": options.triton_url, "triton-torch": options.triton_url}
    contenders = [
        Contender(name, serving(name, workload, replace(deployment, runtime=name.removeprefix("triton-")), urls[name]))
        for name in options.backends
    ]
    settings = Asked(
        workload=workload.name,
        scale=workload.scale,
        batches=options.batches,
        concurrency=options.concurrency,
        requests=options.requests,
        protocols=options.protocol,
        rounds=options.rounds,
    )
    plan = LoadPlan(window_seconds=options.window_seconds)
    return study(contenders, workload, settings, chosen.environment(), plan=plan)


SERVE_STUDY = Command("serve-study", "compare serving back ends, from cold start to many at once", add_arguments, run)
