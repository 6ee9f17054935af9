# pyright: reportUnknownMemberType=false
# matplotlib's own hints leave its keyword arguments open.
"""Texts of a picture: how wide they are drawn, and shortened or broken to fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_gpuperf.reports.tables import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHORTEST = 3  # characters of a shortened text: its first, its last, and what stands for the others
LABEL, LABEL_ROOM = 32, 2.6  # characters and inches of a line's name


def shortened(text: str, most: int = LABEL) -> str:
    """The beginning and the end of a long name: what tells two apart stands there."""
    shown = visible(text)
    half = (most - 1) // 2
    return shown if len(shown) <= most else f"{shown[:half]}\u2026{shown[-half:]}"


def inches(figure: Figure, text: str, size: float, weight: str = "normal") -> float:
    """How wide a text is drawn."""
    drawn = figure.text(0, 0, text, fontsize=size, fontweight=weight)
    wide = drawn.get_window_extent().width / figure.dpi
    drawn.remove()
    return wide


def fitted(figure: Figure, text: str, room: float, size: float, most: int, weight: str = "normal") -> str:
    """At most so many characters and inches: the same number of characters is wide in one script, narrow in another."""
    shown = shortened(text, most)
    kept = len(shown)
    while kept > SHORTEST and (wide := inches(figure, shown, size, weight)) > room:
        kept = max(SHORTEST, min(kept - 1, int(kept * room / wide)))
        shown = shortened(text, kept)
    return shown


def labels(figure: Figure, names: Sequence[str], size: float) -> list[str]:
    """The names shortened; half as much where two would look the same."""
    for longer in (1, 2):
        shown = [fitted(figure, name, longer * LABEL_ROOM, size, longer * LABEL) for name in names]
        if len(set(shown)) == len(names):
            return shown
    return shown


def wrapped(figure: Figure, text: str, room: float, size: float, most: int) -> str:
    """In lines of at most so many inches."""
    lines = [""]
    for word in shortened(text, most).split():
        whole = fitted(figure, word, room, size, most)
        longer = f"{lines[-1]} {whole}".strip()
        if inches(figure, longer, size) > room:
            lines.append(whole)
        else:
            lines[-1] = longer
    return "\n".join(lines)
