"""The formats of `gpuperf compare --format`. A new one is a file beside these and a line here."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping

import msgspec

from pytest_gpuperf.comparison.judged import JudgedRun
from pytest_gpuperf.reports.figures import LEVEL
from pytest_gpuperf.reports.markdown import render_markdown
from pytest_gpuperf.reports.tables import prose
from pytest_gpuperf.reports.terminal import render_reference, render_table

NARROWEST = 40  # columns: below it a table is nothing but broken words


def render_json(judged: JudgedRun) -> str:
    """One document: the outcome, then everything the comparison knows; a figure that is not finite is null."""
    report = {
        "exit_code": judged.exit_code,
        "problems": judged.problems,
        "measured": len(judged.run.cases),
        "compared": len(judged.comparison.timed),
        "decided": judged.comparison.decided,
        "interval_level": LEVEL,
        "comparison": judged.comparison,
        "reference": judged.reference,
    }
    return printable(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())


def printable(text: str) -> str:
    """The same JSON without anything that a terminal, or a job whose log it stands in, would obey."""
    text = text.replace("##[", "\\u0023#[")
    return "\n".join(line if line.isprintable() else _escaped(line) for line in text.split("\n"))


def _escaped(line: str) -> str:
    """The same JSON without a character that a terminal would obey; only its strings hold any."""
    return "".join(c if c.isprintable() else _units(c) for c in line)


def _units(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


Format = Callable[[JudgedRun], str]


def terminal_width() -> int:
    """Columns of the terminal, or what COLUMNS says, or 80; never fewer than `NARROWEST`."""
    return max(shutil.get_terminal_size().columns, NARROWEST)


def _table(judged: JudgedRun) -> str:
    width = terminal_width()
    blocks = [render_table(judged.comparison, judged.run, width)]
    if judged.reference is not None:
        blocks.append(render_reference(judged.reference, width))
    problems = [line for problem in judged.problems for line in prose(f"gpuperf: {problem}", width, hanging="  ")]
    return "\n\n".join([*blocks, "\n".join(problems)]).rstrip()


FORMATS: Mapping[str, Format] = {
    "table": _table,
    "json": render_json,
    "markdown": render_markdown,
}
