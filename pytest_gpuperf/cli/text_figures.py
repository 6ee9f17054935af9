"""``gpuperf text-figures``: the streams of a run by the conventions of other tools."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from pytest_gpuperf.cli.command import Command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_gpuperf.records.text_load import TextLoad

ALL = "all"


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="RUN", help="a run file, from pytest --gpuperf-save")
    parser.add_argument("case", metavar="CASE", nargs="?", help="its id, or a part of it; else each that has streams")
    parser.add_argument(
        "--as",
        dest="conventions",
        metavar="TOOL,...",
        default="gpuperf",
        help="gpuperf, vllm, aiperf, guidellm, or all",
    )
    parser.add_argument(
        "--slo", metavar="LIMITS", help="ttft=500ms,tpot=30ms, or a name: mlperf-llama3.1-8b; adds the goodput"
    )
    parser.add_argument("--format", choices=("table", "markdown", "json"), default="table")


def _run(options: Namespace) -> int:
    """Print them."""
    from pytest_gpuperf.errors import UsageError
    from pytest_gpuperf.records.files import read_run
    from pytest_gpuperf.records.slo import parse_slo
    from pytest_gpuperf.records.text_figures import CONVENTIONS, convention_of

    asked = tuple(CONVENTIONS) if options.conventions == ALL else tuple(dict.fromkeys(options.conventions.split(",")))
    for name in asked:
        convention_of(name)
    slo = parse_slo(options.slo) if options.slo else {}
    loads = {
        case.id: load
        for case in read_run(options.file).cases
        if (load := case.measurements[-1].text_load) is not None and (options.case or "") in case.id
    }
    if not loads:
        named = f" called {options.case!r}" if options.case else ""
        raise UsageError(
            f"{options.file}: no case{named} holds the streams of a language model's server. They are kept by "
            f"gpuperf_text_load and --gpuperf-save."
        )
    print(_shown(loads, asked, slo, options.format))
    return 0


def _shown(loads: Mapping[str, TextLoad], asked: Sequence[str], slo: Mapping[str, float], form: str) -> str:
    if form == "json":
        import msgspec

        found = {
            case: {
                name: msgspec.to_builtins(load.figures(name)) | ({"goodput": load.goodput_by(slo, name)} if slo else {})
                for name in asked
            }
            for case, load in loads.items()
        }
        return msgspec.json.format(msgspec.json.encode(found), indent=1).decode()
    from pytest_gpuperf.reports.document import as_markdown, as_text
    from pytest_gpuperf.reports.formats import terminal_width
    from pytest_gpuperf.reports.text_figures_report import figures_document

    parts = [part for case, load in loads.items() for part in figures_document(case, load, asked, slo)]
    return as_markdown(parts) if form == "markdown" else as_text(parts, terminal_width())


TEXT_FIGURES = Command("text-figures", "print a run's streams by other tools' conventions", _arguments, _run)
