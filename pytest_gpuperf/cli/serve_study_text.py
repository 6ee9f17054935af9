"""``gpuperf serve-study text``: language models' servers under rising load, and which load each can bear."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from pytest_gpuperf.cli.command import Command
from pytest_gpuperf.cli.numbers import number, numbers, rates

if TYPE_CHECKING:
    from pytest_gpuperf.records.text_study import TextAsked, TextStudy

_SWEEP = (1, 2, 4, 8, 16, 32)
_AT_ONCE = 32  # requests that a server which is started here answers at once, where they arrive by themselves
_REQUESTS = 75  # three windows in three rounds are then enough for 99% of them to mean something: 662


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf serve-study text`."""
    parser.add_argument(
        "servers",
        metavar="NAME=WHERE",
        nargs="*",
        help="an address (http://HOST:8000, or http://HOST:8000#MODEL), FILE.gguf for llama.cpp, or text:NAME for "
        "transformers; alone, llama.cpp with a tiny model. NAME= may be left out",
    )
    sweep = parser.add_mutually_exclusive_group()
    sweep.add_argument("--concurrency", type=numbers, metavar="N,...", help="prompts in flight (1,2,4,8,16,32)")
    sweep.add_argument("--rates", type=rates, metavar="R,...", help="requests a second, which arrive by themselves")
    parser.add_argument(
        "--slo", metavar="LIMITS", help="ttft=500ms,tpot=30ms, or a name: mlperf-llama3.1-8b; adds the goodput"
    )
    parser.add_argument("--prompt-tokens", type=number, default=128, metavar="N", help="of each prompt, about (128)")
    parser.add_argument("--max-new-tokens", type=number, default=64, metavar="N", help="of each answer (64)")
    parser.add_argument(
        "--requests", type=number, default=_REQUESTS, metavar="N", help=f"of a window; three must agree ({_REQUESTS})"
    )
    parser.add_argument("--rounds", type=number, default=3, metavar="N", help="intervals need two (3)")
    parser.add_argument("--api", choices=("chat", "completions"), default="chat")
    parser.add_argument("--into", default="serving-study", metavar="DIR", help="where the files go")
    parser.add_argument("--scale", choices=("full", "smoke"), help="size of text:NAME (smoke on the processor)")
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto, cuda, cuda:N or cpu")


def run(options: Namespace) -> int:
    """Make the study, write its files, and print what it found."""
    from pathlib import Path

    from pytest_gpuperf.records.files import REPORT, check_writable, replace
    from pytest_gpuperf.records.study_files import write_study
    from pytest_gpuperf.reports.charts.study_charts import draw_charts
    from pytest_gpuperf.reports.document import as_html, as_markdown, as_text
    from pytest_gpuperf.reports.formats import terminal_width
    from pytest_gpuperf.reports.text_study_report import document
    from pytest_gpuperf.serving.contender import say_if_stopped
    from pytest_gpuperf.text.served.contenders import file_name

    into = Path(options.into)
    check_writable(into / "text.json", REPORT)
    studies = _studied(options)
    stem = f"text-{studies[0].time.replace(':', '').replace('-', '')}"
    for study in studies:
        write_study(into / f"{stem}-{file_name(study.contender)}.json", study)
    charts = draw_charts(studies, f"{stem}-charts")
    if charts:
        (into / f"{stem}-charts").mkdir()
    for chart in charts:
        for name, content in chart.files.items():
            replace(into / name, content)
    blocks = document(studies, [chart.picture for chart in charts])
    replace(into / f"{stem}.md", as_markdown(blocks).encode())
    replace(into / f"{stem}.html", as_html(blocks).encode())
    print(f"\n{as_text(blocks, terminal_width())}\n\nFiles: {into / stem}-*.json, .md, .html")
    say_if_stopped(len(studies[0].rounds), studies[0].asked.rounds)
    return 0


def _studied(options: Namespace) -> list[TextStudy]:
    from pytest_gpuperf.device.choice import choose_device
    from pytest_gpuperf.text.served.contenders import Setup, contenders
    from pytest_gpuperf.text.served.study_text import study_text

    asked = _asked(options)
    chosen = choose_device(options.device)
    setup = Setup(
        device=options.device,
        torch_device=chosen.torch_name,
        scale=options.scale or ("smoke" if chosen.index is None else "full"),
        parallel=_AT_ONCE if asked.sweep == "rate" else int(max(asked.points)),
        prompt_tokens=asked.prompt_tokens,
        max_new_tokens=asked.max_new_tokens,
    )
    return study_text(contenders(options.servers, setup), asked, chosen.environment())


def _asked(options: Namespace) -> TextAsked:
    from pytest_gpuperf.records.slo import parse_slo
    from pytest_gpuperf.records.text_study import TextAsked

    return TextAsked(
        sweep="rate" if options.rates else "concurrency",
        points=tuple(map(float, options.rates or options.concurrency or _SWEEP)),
        prompt_tokens=options.prompt_tokens,
        max_new_tokens=options.max_new_tokens,
        requests=options.requests,
        rounds=options.rounds,
        api=options.api,
        slo=parse_slo(options.slo) if options.slo else {},
    )


SERVE_STUDY_TEXT = Command("serve-study text", "compare language models' servers under rising load", add_arguments, run)
