"""One plain-text table for every report: no colour, aligned by display width, and nothing is lost.

A name too long for its column stands above its figures, broken where a reader would break it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

Rows = Sequence[Sequence[str]]

GAP = INDENT = "  "
NARROWEST = 12  # of the names' column: below it every name would stand above its figures


def visible(text: str) -> str:
    """Text that cannot move a cursor, change a colour or turn the reading direction: such characters are spelled."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


# What GitHub's runner obeys in a log: "::error ...::" at the start of a line, "##[error]" anywhere in it. A command
# is at the start if no word character stands before it: the runner trims, and its comparison ignores marks of no width.
_COMMANDS = re.compile(r"^(\W*?):(?=:)|(#)(?=#\[)", re.MULTILINE)


def inert(text: str) -> str:
    """Lines that a test's name cannot turn into a command of the job that prints them: such starts are spelled."""
    if "::" not in text and "##[" not in text:
        return text
    return _COMMANDS.sub(lambda found: "\\x23" if found[2] else f"{found[1]}\\x3a", text)


def display_width(text: str) -> int:
    """Columns that visible text takes in a terminal."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def prose(text: str, width: int, indent: str = "", hanging: str | None = None) -> list[str]:
    """Sentences in lines of that width; a long word, or a command between ``, stays whole, so that it can be copied."""
    hanging = indent if hanging is None else hanging
    lines: list[str] = []
    line = ""
    for word in _words(visible(text)):
        start = hanging if lines else indent
        if line and display_width(f"{start}{line} {word}") > width:
            lines.append(start + line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    lines.append((hanging if lines else indent) + line)
    return [inert(line) for line in lines]


def _words(text: str) -> Iterator[str]:
    words = text.split(" ")
    while words:
        count = 1
        if words[0].count("`") % 2:  # the other one of the pair ends the word
            count += next((i for i, later in enumerate(words[1:], 1) if later.count("`") % 2), 0)
        yield " ".join(words[:count])
        del words[:count]


def broken(name: str, width: int) -> list[str]:
    """A name in pieces of at most that width, broken after a separator where there is one in the last third."""
    pieces: list[str] = []
    while display_width(name) > width:
        end = used = 0
        while used + _columns(name[end]) <= width:
            used += _columns(name[end])
            end += 1
        end = max(end, 1)
        separator = max(name.rfind(c, 0, end) for c in "/:[-_, ") + 1
        end = separator if separator > end * 2 // 3 else end
        pieces.append(name[:end])
        name = name[end:]
    return [*pieces, name] if name or not pieces else pieces


def table(header: Sequence[str], align: str, groups: Mapping[str, Rows], width: int) -> list[str]:
    """Rows under the titles of their groups. `align` has a letter a column: l or r; the first column is the name.

    An empty title prints no line and indents nothing.
    """
    shown = {
        visible(title): [[(INDENT if title else "") + visible(row[0]), *map(visible, row[1:])] for row in rows]
        for title, rows in groups.items()
    }
    every = [row for rows in shown.values() for row in rows if any(row[1:])]
    widths = [max(display_width(row[i]) for row in [header, *every]) for i in range(len(header))]
    room = max(width - sum(widths[1:]) - len(GAP) * (len(header) - 1), NARROWEST)
    fitting = (display_width(row[0]) for row in [header, *every])
    widths[0] = max(used for used in fitting if used <= room)  # a longer name stands above, and widens nothing

    def line(cells: Sequence[str]) -> str:
        return GAP.join(map(_padded, cells, align, widths)).rstrip()

    lines = [line(header)]
    for title, rows in shown.items():
        lines += broken(title, width) if title else ()
        for row in rows:
            if not any(row[1:]):  # a title among the rows
                lines += _indented(row[0], width)
                continue
            if display_width(row[0]) > widths[0]:
                lines += _indented(row[0], width)
                row = ["", *row[1:]]  # noqa: PLW2901 - its name stands above
            lines.append(line(row))
    return [inert(line) for line in lines]


def by_file(cells: Iterable[tuple[str, Sequence[str]]]) -> dict[str, list[Sequence[str]]]:
    """Rows (a case id, the other cells) as groups: each under its test file; what is no node id stands alone.

    Where several cases are of one function, its name has a line of its own, and only their parameters stand below.
    """
    groups: dict[str, list[Sequence[str]]] = {}
    for case, others in cells:
        file, separator, name = case.partition("::")
        groups.setdefault(file if separator else "", []).append((name if separator else case, *others))
    return {title: list(_by_function(rows)) for title, rows in groups.items()}


def _by_function(rows: Rows) -> Iterator[Sequence[str]]:
    functions = Counter(_function(row[0]) for row in rows)
    heading = ""
    for name, *others in rows:
        function = _function(name)
        if name.startswith(INDENT):  # another figure of the case above
            yield (INDENT + name if heading else name), *others
        elif not function or functions[function] < 2:
            heading = ""
            yield name, *others
        else:
            if heading != function:
                heading = function
                yield function, *("" for _ in others)
            yield INDENT + name.removeprefix(function), *others


def _function(name: str) -> str:
    """``test_model`` of ``test_model[resnet50-1]``; nothing where there are no parameters."""
    function, bracket, _ = name.partition("[")
    return function if bracket else ""


def _indented(name: str, width: int) -> Iterable[str]:
    indent = name[: len(name) - len(name.lstrip(" "))]
    first, *rest = broken(name, width)
    yield first
    for piece in rest:
        yield from (f"{indent}  {p}" for p in broken(piece, width - len(indent) - 2))


def _padded(text: str, align: str, width: int) -> str:
    space = " " * (width - display_width(text))
    return space + text if align == "r" else text + space
