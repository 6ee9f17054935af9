"""The formats of `gpuperf compare --format`. A new one is a file beside these and a line here."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping

from pytest_gpuperf.reports.json_report import render_json
from pytest_gpuperf.reports.judged import Judged
from pytest_gpuperf.reports.markdown import render_markdown
from pytest_gpuperf.reports.tables import prose
from pytest_gpuperf.reports.terminal import render_reference, render_table

NARROWEST = 40  # columns: below it a table is nothing but broken words
Format = Callable[[Judged], str]


def terminal_width() -> int:
    """Columns of the terminal, or what COLUMNS says, or 80; of a narrower one more than it has."""
    return max(shutil.get_terminal_size().columns, NARROWEST)


def _table(judged: Judged) -> str:
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
