"""What a test was parametrized with, as a record keeps it: what ratios over precision, backend or batch go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pytest

LONGEST = 200  # a text beyond it is data, not the name of a level
SIMPLE = (str, int, float, bool, type(None))


def parameters_of(item: pytest.Item) -> dict[str, str]:
    """Name -> text: ``{"batch": "32", "precision": "fp16"}``. What no file can hold is left out."""
    callspec: Any = getattr(item, "callspec", None)  # only parametrized tests have one
    values: Mapping[str, object] = {} if callspec is None else callspec.params
    texts = {name: _text(value) for name, value in values.items()}
    return {name: text for name, text in texts.items() if text is not None and _is_writable(text)}


def _is_writable(text: str) -> bool:
    return len(text) <= LONGEST and not any("\ud800" <= c <= "\udfff" for c in text)  # no UTF-8 has half a pair


def _text(value: object) -> str | None:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, SIMPLE):
        return str(value)
    if isinstance(value, (tuple, list)):  # a shape; what an element's text would cost (a tensor's!) is not known
        parts = cast("Sequence[object]", value)
        return str(parts) if all(isinstance(part, SIMPLE) for part in parts) else None
    name = getattr(value, "__name__", None)  # a class or a function
    return name if isinstance(name, str) else None
