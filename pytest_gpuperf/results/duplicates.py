"""Keys that stand twice in one object: the decoder silently keeps the last, a reader of the file sees the first."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from pytest_gpuperf.results.problems import Flaw


def refuse_duplicate_keys(raw: bytes, decoded: msgspec.Struct) -> None:
    """Raise if an object in these bytes has a key twice.

    Every key brings one colon, and decoding drops values but never invents one. So as many colons in the bytes as in
    the decoded record written out again means that nothing was dropped; this costs a tenth of looking at every key.
    An escaped colon breaks the count, and a default that is spelt out makes it differ: then the keys are looked at.
    """
    if raw.count(b":") == msgspec.json.encode(decoded).count(b":") and b"\\u003" not in raw:
        return
    _walk(json.loads(raw, object_pairs_hook=_Pairs), "$")


class _Pairs(list[tuple[str, Any]]):
    """The keys and values of an object as they stand in the text."""


def _walk(node: object, place: str) -> None:
    if isinstance(node, _Pairs):
        seen: set[str] = set()
        for key, value in node:
            if key in seen:
                raise Flaw(f"{place}.{key}", f'the key "{key}" stands twice in one object')
            seen.add(key)
            _walk(value, f"{place}.{key}")
    elif isinstance(node, list):
        for i, value in enumerate(node):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            _walk(value, f"{place}[{i}]")  # pyright: ignore[reportUnknownArgumentType]
