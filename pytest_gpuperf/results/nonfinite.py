"""Where a file holds something that is no number: NaN, Infinity, 1e999, an integer of a hundred digits."""

from __future__ import annotations

import json
import math
import re
from typing import Any, cast

from pytest_gpuperf.results.problems import member

LOOKED_THROUGH = 16 << 20  # bytes of a file: as Python's own values it takes up to a hundred times as much

# What a number must look like to be none; so that a file without one is not parsed again.
_CANDIDATE = re.compile(rb"NaN|Infinity|[0-9]{19}|[eE]\+?[0-9]{3}")


def place_of_no_figure(raw: bytes) -> str | None:
    """The JSON path of the first, or None."""
    if len(raw) > LOOKED_THROUGH or _CANDIDATE.search(raw) is None:
        return None
    try:
        return _find(parsed_loosely(raw), "$")
    except (ValueError, RecursionError):
        return None


def parsed_loosely(raw: bytes) -> Any:
    """The values of a file whose only flaw may be such numbers: what is too large for a field is infinite here."""
    return json.loads(raw, parse_int=lambda digits: int(digits) if len(digits) < 20 else math.inf)


def _find(node: object, place: str) -> str | None:
    if isinstance(node, float):
        return None if math.isfinite(node) else place
    if isinstance(node, dict):
        inner = [(v, member(place, k)) for k, v in cast("dict[str, Any]", node).items()]
    elif isinstance(node, list):
        inner = [(v, f"{place}[{i}]") for i, v in enumerate(cast("list[Any]", node))]
    else:
        return None
    return next((found for value, at in inner if (found := _find(value, at))), None)
