"""A report of headings, sentences and tables, written once and shown as text, Markdown or a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol

from pytest_gpuperf.reports import tables
from pytest_gpuperf.reports.markdown import escaped
from pytest_gpuperf.reports.tables import prose, visible


class DocumentPart(Protocol):
    """A part of a document, in each of its three shapes."""

    def text(self, width: int) -> str:
        """For a terminal."""
        ...

    def markdown(self) -> str:
        """For a pull request or a wiki."""
        ...

    def html(self) -> str:
        """For a page."""
        ...


@dataclass(frozen=True)
class Heading:
    """The title of what follows."""

    title: str
    level: int = 2

    def text(self, width: int) -> str:  # noqa: ARG002 - a title is not broken
        shown = visible(self.title)
        return f"{shown}\n{'=' * len(shown)}" if self.level == 1 else shown

    def markdown(self) -> str:
        return f"{'#' * self.level} {escaped(self.title)}"

    def html(self) -> str:
        return f"<h{self.level}>{_safe(self.title)}</h{self.level}>"


@dataclass(frozen=True)
class Sentences:
    """A list, an item each."""

    items: tuple[str, ...]

    def text(self, width: int) -> str:
        return "\n".join(line for item in self.items for line in prose(item, width, "- ", "  "))

    def markdown(self) -> str:
        return "\n".join(f"- {escaped(item)}" for item in self.items)

    def html(self) -> str:
        return "<ul>" + "".join(f"<li>{_safe(item)}</li>" for item in self.items) + "</ul>"


@dataclass(frozen=True)
class Table:
    """Figures; `align` has a letter a column: l or r."""

    header: tuple[str, ...]
    align: str
    rows: tuple[tuple[str, ...], ...]

    def text(self, width: int) -> str:
        return "\n".join(tables.table(self.header, self.align, {"": self.rows}, width))

    def markdown(self) -> str:
        rule = " | ".join("---:" if a == "r" else ":---" for a in self.align)
        return "\n".join([_row(self.header), f"| {rule} |", *map(_row, self.rows)])

    def html(self) -> str:
        body = "".join(_cells("td", row, self.align) for row in self.rows)
        return f"<div><table><thead>{_cells('th', self.header, self.align)}</thead><tbody>{body}</tbody></table></div>"


def as_text(blocks: Sequence[DocumentPart], width: int) -> str:
    """For a terminal."""
    return "\n\n".join(block.text(width) for block in blocks)


def as_markdown(blocks: Sequence[DocumentPart]) -> str:
    """For a pull request or a wiki."""
    return "\n\n".join(block.markdown() for block in blocks) + "\n"


_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
div { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #8884; text-align: left; white-space: nowrap; }
.r { text-align: right; }
"""


def as_html(blocks: Sequence[DocumentPart]) -> str:
    """One file that opens from a disk, without a network or a script."""
    titles = [b.title for b in blocks if isinstance(b, Heading)]
    body = "\n".join(block.html() for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_safe(titles[0] if titles else 'gpuperf')}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(escaped, cells))} |"


def _cells(tag: str, cells: Sequence[str], align: str) -> str:
    shown = (
        f"<{tag}{' class=r' if a == 'r' else ''}>{_safe(cell)}</{tag}>" for cell, a in zip(cells, align, strict=True)
    )
    return f"<tr>{''.join(shown)}</tr>"


def _safe(text: str) -> str:
    return escape(visible(text))
