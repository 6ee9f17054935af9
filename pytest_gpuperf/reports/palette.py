"""The colours of the page and of the charts. They stand in the page's style, once: a light and a dark one each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
_COLOUR = re.compile(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);")


@cache
def palette(theme: Theme) -> Mapping[str, str]:
    """Name -> colour: ``{"page": "#ffffff", "text": ...}``."""
    style = files("pytest_gpuperf.reports.html").joinpath("assets", "page.css").read_text(encoding="utf-8")
    return {name: light if theme == "light" else dark for name, light, dark in _COLOUR.findall(style)}


def contrast(a: str, b: str) -> float:
    """Of two colours, as WCAG 2 defines it: from 1 to 21."""
    brighter, darker = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
