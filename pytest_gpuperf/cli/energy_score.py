"""``gpuperf energy-score``: the energy of a language model's answers, query by query, in a run that can be resumed."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from pytest_gpuperf.cli.command import Command, say
from pytest_gpuperf.cli.numbers import number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_gpuperf.device.choice import Chosen
    from pytest_gpuperf.records.energy_score import Asked
    from pytest_gpuperf.records.grid import Grid
    from pytest_gpuperf.records.journal import Journal

QUERIES, RUNS, NEW_TOKENS = 1000, 10, 10  # AIEnergyScore's
_EVERY = 10.0  # seconds between two lines of progress


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf energy-score`."""
    parser.add_argument("model", metavar="MODEL", help="text:phi-2, text:NAME of the model hub, or text:FOLDER")
    parser.add_argument("--queries", type=number, metavar="N", help=f"of a run ({QUERIES}; all of --prompts)")
    parser.add_argument("--runs", type=number, default=RUNS, metavar="N", help=f"over which to average ({RUNS})")
    parser.add_argument("--prompts", metavar="FILE", help='a text a line; .jsonl: {"text": ...} a line')
    parser.add_argument("--prompt-tokens", type=number, default=128, metavar="N", help="of drawn prompts (128)")
    parser.add_argument(
        "--max-new-tokens",
        type=number,
        default=NEW_TOKENS,
        metavar="N",
        help=f"that each query gets, all of them ({NEW_TOKENS})",
    )
    parser.add_argument("--precision", default="fp16", metavar="NAME", help="fp16, bf16, fp32, ...")
    parser.add_argument("--pretrained", action="store_true", help="trained weights instead of random ones")
    parser.add_argument("--scale", choices=("full", "smoke"), help="size of the model (smoke on the processor)")
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto, cuda, cuda:N or cpu")
    parser.add_argument("--grid", metavar="G", help="g CO2e/kWh, like 56, or a country, like FRA: adds emissions")
    parser.add_argument("--into", default="energy-score", metavar="DIR", help="where the journal and the files go")


def run(options: Namespace) -> int:
    """Measure what the journal lacks, write the files, and print the score."""
    from pathlib import Path

    from pytest_gpuperf.device.choice import choose_device
    from pytest_gpuperf.errors import MissingError
    from pytest_gpuperf.records.energy_score import head_of
    from pytest_gpuperf.records.grid import parse_grid
    from pytest_gpuperf.records.journal import open_journal
    from pytest_gpuperf.text import lacking

    reason = lacking()
    if reason is not None:
        raise MissingError(f"{options.model}: {reason}")
    grid = None if options.grid is None else parse_grid(options.grid)
    texts = None if options.prompts is None else _texts(Path(options.prompts))
    chosen = choose_device(options.device)
    if chosen.passed_over is not None:
        say(f"this machine has an NVIDIA card, which is not used: {chosen.passed_over}")
    asked = _asked(options, texts, chosen)
    into = Path(options.into)
    with open_journal(into / "journal.jsonl", head_of(asked, chosen.environment())) as journal:
        _measure(asked, texts, chosen, journal)
        _report(journal, into, grid)
    return 0


def _asked(options: Namespace, texts: Sequence[str] | None, chosen: Chosen) -> Asked:
    from hashlib import sha256
    from pathlib import Path

    from pytest_gpuperf.errors import UsageError
    from pytest_gpuperf.records.energy_score import Asked

    queries = options.queries or (QUERIES if texts is None else len(texts))
    if texts is not None and queries > len(texts):
        raise UsageError(
            f"{options.prompts} has {len(texts)} texts, and --queries asks for {queries}. Leave --queries out, "
            f"or give more texts."
        )
    digest = "" if texts is None else sha256("\0".join(texts[:queries]).encode()).hexdigest()[:12]
    return Asked(
        model=options.model,
        scale=options.scale or ("smoke" if chosen.device.kind == "cpu" else "full"),
        pretrained=options.pretrained,
        precision=options.precision,
        runs=options.runs,
        queries=queries,
        prompts="drawn" if texts is None else f"{Path(options.prompts).name} (sha256 {digest})",
        prompt_tokens=options.prompt_tokens if texts is None else None,
        max_new_tokens=options.max_new_tokens,
    )


def _texts(file: Path) -> list[str]:
    """One text a line; of JSON lines, what stands under "text"."""
    import json

    from pytest_gpuperf.errors import FileError
    from pytest_gpuperf.records.files import content_of

    try:
        lines = [line for line in content_of(file).decode().splitlines() if line.strip()]
        texts = [json.loads(line)["text"] for line in lines] if file.suffix == ".jsonl" else lines
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(
            f'{file}: cannot be read as prompts ({error}). Write a text a line, or in a .jsonl {{"text": ...}} a line.'
        ) from None
    if not texts:
        raise FileError(f"{file}: there is no text in it. Write a text a line.")
    return texts


def _measure(asked: Asked, texts: Sequence[str] | None, chosen: Chosen, journal: Journal) -> None:
    import shlex

    from pytest_gpuperf.records.journal import kept
    from pytest_gpuperf.text.energy_score import answer, is_whole

    if is_whole(asked, journal):
        say(f"all {asked.total} queries were answered before")
        return
    if journal.queries:
        say(f"going on after {journal.queries} of {asked.total} queries")
    command = shlex.join(["gpuperf", *sys.argv[1:]])
    try:
        answer(asked, texts, chosen, journal, command=command, progress=_Progress(asked))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{kept(journal.queries)}, of {asked.total}; go on with the same command") from None


def _report(journal: Journal, into: Path, grid: Grid | None) -> None:
    from pytest_gpuperf.comparison.energy_score import score_of
    from pytest_gpuperf.records.files import write_report
    from pytest_gpuperf.reports.document import as_html, as_markdown, as_text
    from pytest_gpuperf.reports.energy_score_csv import queries_csv, runs_csv, stages_csv
    from pytest_gpuperf.reports.energy_score_report import document, summary
    from pytest_gpuperf.reports.formats import terminal_width

    score = score_of(journal.lines)
    blocks = document(score, grid)
    files = {
        "runs.csv": runs_csv(score, grid),
        "queries.csv": queries_csv(score),
        "stages.csv": stages_csv(score),
        "score.md": as_markdown(blocks),
        "score.html": as_html(blocks),
    }
    for name, text in files.items():
        write_report(into / name, text)
    print(f"{as_text(summary(score, grid), terminal_width())}\n\nFiles: {into}{os.sep}{', '.join(files)}")


@dataclass
class _Progress:
    """A line now and then: how far it is, and how long it will take."""

    asked: Asked
    shown: float = field(default_factory=monotonic)

    def __call__(self, done: int, left: float) -> None:
        from pytest_gpuperf.records.units import format_duration

        run, number = divmod(done - 1, self.asked.queries)
        if monotonic() - self.shown >= _EVERY or number + 1 == self.asked.queries:
            self.shown = monotonic()
            where = f"run {run + 1} of {self.asked.runs}, query {number + 1} of {self.asked.queries}"
            say(f"{where}; {format_duration(left)} left")


ENERGY_SCORE = Command(
    "energy-score", "measure the energy of a language model's answers, as AIEnergyScore does", add_arguments, run
)
