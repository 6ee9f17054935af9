"""What a sensor says: a value, or the reason why there is none. A missing value is never 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

T = TypeVar("T")

Why = Literal["unsupported", "permission", "library", "lost", "not attributable", "failed"]


@dataclass(frozen=True, slots=True)
class Missing:
    """No value, and why."""

    why: Why
    reason: str

    def __str__(self) -> str:
        return f"not available: {self.reason}"


Reading = T | Missing


def known(reading: Reading[T]) -> T | None:
    """The value, or None where there is none."""
    return None if isinstance(reading, Missing) else reading
