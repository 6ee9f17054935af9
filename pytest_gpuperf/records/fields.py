"""What fields of records may hold, and what every record is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta, Struct

Seconds = Annotated[float, Meta(ge=1e-15, le=1e6)]  # of less no clock knows, and its inverse is no number
Joules = Annotated[float, Meta(ge=1e-18, le=1e12)]
Bytes = Annotated[int, Meta(ge=0, le=2**50)]
Rate = Annotated[float, Meta(gt=0, le=1e24)]  # a second
Count = Annotated[int, Meta(ge=1, le=2**40)]
Block = Annotated[tuple[Seconds, ...], Meta(min_length=1)]
Fraction = Annotated[float, Meta(ge=0, lt=1)]
Name = Annotated[str, Meta(min_length=1, max_length=4096)]
Time = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]  # UTC, to the second


def now() -> str:
    """The time as records keep it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Record(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The base of everything kept in a file (type checkers want `frozen` and `kw_only` said again below)."""
