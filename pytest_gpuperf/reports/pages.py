"""A Markdown text that never grows beyond what GitHub takes: what comes first gets the room, the rest is counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

GITHUB = 65_536  # characters of a comment, beyond which it is refused
LARGEST = 65_000
CLOSING = 200  # kept free for each part's title, its count and its end
PARTS = 20  # as many parts at most; a part takes no more than half of what is left, unless it is folded


class Page:
    """Blocks of text, and the room that is left."""

    def __init__(self, largest: int = LARGEST) -> None:
        self._blocks: list[str] = []
        self._room = largest - PARTS * CLOSING

    def text(self) -> str:
        """All of it."""
        return "\n\n".join(self._blocks)

    def say(self, sentence: str) -> None:
        """A line that must be there; the caller knows that it is short."""
        self._blocks.append(sentence)
        self._room -= _size(sentence)

    def items(self, lines: Iterable[str], most: int | None = None) -> None:
        """A list, of at most so many."""
        every = list(lines)
        kept = self._fitting([[line] for line in (every if most is None else every[:most])], self._room // 2)
        if every:
            rest = len(every) - len(kept)
            self._add([line for (line,) in kept] + ([f"- and {rest:,} more"] if rest else []))

    def table(self, title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, folded: bool = False) -> None:
        """A table under its title, which says how many there are; a row is one or several lines."""
        if not rows:
            return
        kept = self._fitting(rows, self._room if folded else self._room // 2)
        rest = len(rows) - len(kept)
        if folded:
            self._blocks.append(f"<details><summary>{len(rows):,} {title}</summary>")
        else:
            self._blocks.append(f"**{len(rows):,} {title}**")
        if kept:
            self._add([*head, *(line for row in kept for line in row)])
        if rest:
            self._blocks.append(f"{rest:,} {'more ' if kept else ''}{title}, for which there is no room here.")
        if folded:
            self._blocks.append("</details>")

    def _fitting(self, rows: Sequence[Sequence[str]], room: int) -> Sequence[Sequence[str]]:
        for number, row in enumerate(rows):
            room -= sum(_size(line) + 1 for line in row)
            if room < 0:
                return rows[:number]
        return rows

    def _add(self, lines: Sequence[str]) -> None:
        self._blocks.append("\n".join(lines))
        self._room -= sum(_size(line) + 1 for line in lines)


def _size(text: str) -> int:
    """Characters as the strictest counts them: those beyond the first plane are two."""
    return len(text) + sum(c > "\uffff" for c in text) if not text.isascii() else len(text)
