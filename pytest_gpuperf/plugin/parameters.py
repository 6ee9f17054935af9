"""What a test was parametrized with, as a record keeps it: what ratios over precision, backend or batch go by."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

LONGEST = 200  # a text beyond it is data, not the name of a level


def parameters_of(item: pytest.Item) -> dict[str, str]:
    """Name -> text of every simple value: ``{"batch": "32", "precision": "fp16"}``. An object has no text to keep."""
    callspec = getattr(item, "callspec", None)  # only parametrized tests have one
    values: Mapping[str, object] = {} if callspec is None else callspec.params
    texts = {name: _text(value) for name, value in values.items()}
    return {name: text for name, text in texts.items() if text is not None and len(text) <= LONGEST}


def _text(value: object) -> str | None:
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, (str, int, float)):
        return str(value)
    name = getattr(value, "__name__", None)  # a class or a function, as pytest names them in its ids
    return name if isinstance(name, str) else None
