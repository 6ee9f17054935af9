"""What a step of the check prints: rows, each with a figure, the bar it has to reach, and a word."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Literal

Word = Literal["holds", "fails", "shown", "not possible"]


@dataclass(frozen=True)
class Row:
    """One thing that was looked at."""

    what: str
    figure: str
    bar: str = ""
    word: Word = "shown"


def judged(what: str, figure: str, bar: str, *, holds: bool, word: Word | None = None) -> Row:
    return Row(what, figure, bar, word or ("holds" if holds else "fails"))


def impossible(what: str, why: str) -> Row:
    return Row(what, why, word="not possible")


def save(path: Path, rows: Sequence[Row]) -> None:
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> list[Row]:
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def table(rows: Iterable[Row]) -> str:
    lines = ["| what | figure | to reach | |", "|---|---|---|---|"]
    cells = ([cell.replace("|", "\\|").replace("\n", " ") for cell in (r.what, r.figure, r.bar, r.word)] for r in rows)
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in cells)])


def us(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} us" if seconds < 1e-3 else f"{seconds * 1e3:.3f} ms"


def spread(values: Sequence[float]) -> float:
    """How far repeated figures lie from their median, the widest of them, as a share of it."""
    middle = median(values)
    return max(abs(v - middle) for v in values) / middle
