"""What a test was parametrized with, as a record keeps it: what ratios over precision, backend or batch go by."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

LONGEST = 200  # a text beyond it is data, not the name of a level


def parameters_of(item: pytest.Item) -> dict[str, str]:
    """Name -> text of every value: ``{"batch": "32", "precision": "fp16"}``; an object's as pytest's ids have it."""
    callspec: Any = getattr(item, "callspec", None)  # only parametrized tests have one
    if callspec is None:
        return {}
    values: Mapping[str, object] = callspec.params
    return {name: _text(value) or f"{name}{callspec.indices[name]}" for name, value in values.items()}


def _text(value: object) -> str | None:
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, (str, int, float)):
        text = str(value)
        return text if len(text) <= LONGEST else None
    name = getattr(value, "__name__", None)  # a class or a function
    return name if isinstance(name, str) else None
