"""A report of headings, sentences and tables, written once and shown as text, Markdown or a page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol
from urllib.parse import quote

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
        header = tuple(map(visible, self.header))
        return "\n".join(tables.table(header, self.align, {"": self.rows}, width))

    def markdown(self) -> str:
        rule = " | ".join("---:" if a == "r" else ":---" for a in self.align)
        return "\n".join([_row(self.header), f"| {rule} |", *map(_row, self.rows)])

    def html(self) -> str:
        body = "".join(_cells("td", row, self.align) for row in self.rows)
        return f"<div><table><thead>{_cells('th', self.header, self.align)}</thead><tbody>{body}</tbody></table></div>"


@dataclass(frozen=True)
class Picture:
    """A chart: a file beside the document, and its content, drawn for a light and for a dark page."""

    title: str  # read aloud where it cannot be seen
    file: str
    light: bytes  # SVG
    dark: bytes

    def html(self) -> str:
        """As an image, so that two drawings cannot disturb each other's marks, and no page runs what stands in one."""
        dark = f'<source media="(prefers-color-scheme: dark)" srcset="{_inline(self.dark)}">'
        image = f'<img src="{_inline(self.light)}" alt="{_safe(self.title)}">'
        return f"<picture>{dark}{image}</picture>"


@dataclass(frozen=True)
class Pictures:
    """Charts side by side, as many as there is room for."""

    pictures: tuple[Picture, ...]

    def text(self, width: int) -> str:
        return Sentences(tuple(f"{picture.title}: {picture.file}" for picture in self.pictures)).text(width)

    def markdown(self) -> str:
        return "\n".join(f"![{escaped(picture.title)}]({quote(picture.file)})" for picture in self.pictures)

    def html(self) -> str:
        return f"<section>{''.join(picture.html() for picture in self.pictures)}</section>"


def as_text(blocks: Sequence[DocumentPart], width: int) -> str:
    """For a terminal."""
    return "\n\n".join(block.text(width) for block in blocks)


def as_markdown(blocks: Sequence[DocumentPart]) -> str:
    """For a pull request or a wiki."""
    return "\n\n".join(block.markdown() for block in blocks) + "\n"


_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 80rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
div { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .5rem; border-bottom: 1px solid #8884; text-align: left; white-space: nowrap; }
.r { text-align: right; }
section { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
section img { width: 100%; height: auto; }
"""


def listed(title: str, sentences: Iterable[str]) -> list[DocumentPart]:
    """A heading and the sentences below it; nothing where there are none."""
    every = tuple(sentences)
    return [Heading(title), Sentences(every)] if every else []


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


def _inline(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{b64encode(svg).decode()}"


def _safe(text: str) -> str:
    return escape(visible(text))
