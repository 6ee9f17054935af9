"""A report of headings, sentences and tables, written once and shown as text, Markdown or a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from pytest_gpuperf.reports.markdown import escaped
from pytest_gpuperf.reports.tables import prose, table, visible


@dataclass(frozen=True)
class Heading:
    """The title of what follows."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Sentences:
    """A list, an item each."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Figures; `align` has a letter a column: l or r."""

    header: tuple[str, ...]
    align: str
    rows: tuple[tuple[str, ...], ...]


Block = Heading | Sentences | Table


def as_text(blocks: Iterable[Block], width: int) -> str:
    """For a terminal."""
    parts: list[str] = []
    for block in blocks:
        match block:
            case Heading(text, level):
                parts.append(visible(text) + ("\n" + "=" * len(visible(text)) if level == 1 else ""))
            case Sentences(items):
                parts.append("\n".join(line for item in items for line in prose(item, width, "- ", "  ")))
            case Table(header, align, rows):
                parts.append("\n".join(table(header, align, {"": rows}, width)))
    return "\n\n".join(parts)


def as_markdown(blocks: Iterable[Block]) -> str:
    """For a pull request or a wiki."""
    parts: list[str] = []
    for block in blocks:
        match block:
            case Heading(text, level):
                parts.append(f"{'#' * level} {escaped(text)}")
            case Sentences(items):
                parts.append("\n".join(f"- {escaped(item)}" for item in items))
            case Table(header, align, rows):
                rule = " | ".join("---:" if a == "r" else ":---" for a in align)
                lines = [_row(header), f"| {rule} |", *map(_row, rows)]
                parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(escaped, cells))} |"


_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
div { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #8884; text-align: left; white-space: nowrap; }
th { position: sticky; top: 0; background: Canvas; }
.r { text-align: right; }
"""


def as_html(blocks: Sequence[Block]) -> str:
    """One file that opens from a disk, without a network or a script."""
    titles = [b.text for b in blocks if isinstance(b, Heading)]
    body = "\n".join(map(_html, blocks))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_safe(titles[0] if titles else 'gpuperf')}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{_safe(text)}</h{level}>"
        case Sentences(items):
            return "<ul>" + "".join(f"<li>{_safe(item)}</li>" for item in items) + "</ul>"
        case Table(header, align, rows):
            return (
                f"<div><table><thead>{_cells('th', header, align)}</thead><tbody>"
                + "".join(_cells("td", row, align) for row in rows)
                + "</tbody></table></div>"
            )


def _cells(tag: str, cells: Sequence[str], align: str) -> str:
    shown = (
        f"<{tag}{' class=r' if a == 'r' else ''}>{_safe(cell)}</{tag}>" for cell, a in zip(cells, align, strict=True)
    )
    return f"<tr>{''.join(shown)}</tr>"


def _safe(text: str) -> str:
    return escape(visible(text))
