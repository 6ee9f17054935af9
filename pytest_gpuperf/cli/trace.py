"""``gpuperf trace``: why a GPU was idle, from the trace of a profiler; and what changed between two traces."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gpuperf.cli.command import Command, say
from pytest_gpuperf.errors import DeviceError, FileError, GpuPerfError, UsageError

if TYPE_CHECKING:
    from pytest_gpuperf.comparison.trace_change import TraceChange
    from pytest_gpuperf.records.trace_analysis import TraceAnalysis
    from pytest_gpuperf.reports.document import DocumentPart

EXIT_CODES = {"regressed": 1, "unchanged": 0, "inconclusive": 7}  # as `gpuperf compare` ends
UNREAD = FileError.exit_code


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf trace`."""
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="of torch.profiler (.json, .json.gz) or Nsight Systems (.sqlite, .nsys-rep), or a folder of them; "
        "of exactly two files the second is compared with the first",
    )
    parser.add_argument("--fail-over", metavar="PERCENT", help="of two files: fail where the second is slower by more")
    parser.add_argument("--into", type=Path, metavar="DIR", help="write text, JSON and a page of each trace")
    parser.add_argument("--format", choices=("table", "markdown", "json"), default="table")


def run(options: Namespace) -> int:
    """Print what was found; of two traces, what changed."""
    from pytest_gpuperf.cli.trace_files import refuse_unreadable, traces_in
    from pytest_gpuperf.records.units import parse_fraction

    tolerance = None if options.fail_over is None else parse_fraction(options.fail_over, "--fail-over")
    two = len(options.files) == 2 and not any(path.is_dir() for path in options.files)
    if tolerance is not None and not two:
        raise UsageError(
            "--fail-over compares two traces, so it goes with exactly two files. Type: "
            f"gpuperf trace BEFORE AFTER --fail-over {options.fail_over}"
        )
    if options.into is not None:
        from pytest_gpuperf.reports.html.rendering import require_jinja2

        require_jinja2()
    refuse_unreadable(options.files)
    return _change(options, tolerance) if two else _summaries(options, traces_in(options.files))


def _summaries(options: Namespace, files: Sequence[Path]) -> int:
    """A whole report of one trace, a few lines on each of many. What cannot be read does not stop the others."""
    found: list[TraceAnalysis] = []
    failed = 0
    for result in _analysed(files, options.into):
        if not isinstance(result, GpuPerfError):
            found.append(result)
        elif len(files) == 1:
            raise result
        else:
            failed += 1
            say(f"error: {result}")
    if found:
        print(_shown(found, options.format))
    if failed:
        say(f"error: {failed} of {len(files)} traces could not be read; the others are shown")
    return UNREAD if failed else 0


def _shown(found: Sequence[TraceAnalysis], form: str) -> str:
    from pytest_gpuperf.records.render import render_record
    from pytest_gpuperf.reports.formats import printable
    from pytest_gpuperf.reports.trace_report import document, overview, summary

    if form == "json":
        texts = [render_record(analysis).rstrip() for analysis in found]
        return printable(texts[0] if len(texts) == 1 else f"[{','.join(texts)}]")
    if len(found) == 1:
        return _text(document(found[0]), form)
    return _text([*overview(found), *(part for one in found for part in summary(one))], form)


def _text(parts: Sequence[DocumentPart], form: str) -> str:
    from pytest_gpuperf.reports.document import as_markdown, as_text
    from pytest_gpuperf.reports.formats import terminal_width

    return as_markdown(parts).rstrip() if form == "markdown" else as_text(parts, terminal_width())


def _change(options: Namespace, tolerance: float | None) -> int:
    """The second trace beside the first."""
    from pytest_gpuperf.comparison.trace_change import judged, other_cards, trace_change
    from pytest_gpuperf.records.render import render_record
    from pytest_gpuperf.reports.formats import printable
    from pytest_gpuperf.reports.trace_change_report import change_document, github_annotation

    found: list[TraceAnalysis] = []
    for result in _analysed(options.files, options.into):
        if isinstance(result, GpuPerfError):
            raise result
        found.append(result)
    before, after = found
    change = trace_change(before, after)
    if tolerance is not None:
        cards = other_cards(before, after)
        if cards:
            raise DeviceError(f"{'; '.join(cards)}. Without --fail-over they are shown side by side.")
        change = judged(change, tolerance)
    parts = change_document(before, after, change)
    print(printable(render_record(change).rstrip()) if options.format == "json" else _text(parts, options.format))
    annotation = github_annotation(change)
    if annotation is not None and options.format == "table":  # the others are read by programs
        print(annotation)
    if options.into is not None:
        _keep(options.into, parts, change)
    return 0 if change.verdict is None else EXIT_CODES[change.verdict.word]


def _keep(folder: Path, parts: Sequence[DocumentPart], change: TraceChange) -> None:
    from pytest_gpuperf.cli.trace_files import CHANGE, WIDTH
    from pytest_gpuperf.records.files import write_report
    from pytest_gpuperf.records.render import render_record
    from pytest_gpuperf.reports.document import as_text

    write_report(folder / f"{CHANGE}.txt", as_text(parts, WIDTH) + "\n")
    write_report(folder / f"{CHANGE}.json", render_record(change))
    say(f"{folder / CHANGE}.txt, .json")


def _analysed(files: Sequence[Path], into: Path | None) -> Iterator[TraceAnalysis | GpuPerfError]:
    """Each trace, or why it cannot be read; its files are written before the next is begun."""
    from pytest_gpuperf.cli.trace_files import names_of, write_files
    from pytest_gpuperf.traces.analyse import analyse
    from pytest_gpuperf.traces.nsys import export, is_report

    exported = export([file for file in files if is_report(file)], say)
    names = names_of(files)
    for file in files:
        readable = exported.get(file, file)
        if isinstance(readable, GpuPerfError):
            yield readable
            continue
        try:
            found = analyse(readable, say)
        except GpuPerfError as error:
            yield error
            continue
        if into is not None:
            write_files(into, names[file], found)
            say(f"{into / names[file]}.txt, .json, .html")
        yield found.analysis


TRACE = Command("trace", "why a GPU was idle, from a profiler's trace; or what changed between two", add_arguments, run)
