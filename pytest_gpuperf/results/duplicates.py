"""Keys that stand twice in one object: the decoder silently keeps the last, a reader of the file sees the first."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from pytest_gpuperf.results.envelope import BaselineFile, RunFile
from pytest_gpuperf.results.problems import Flaw, member, shown


def refuse_duplicate_keys(raw: bytes, decoded: RunFile | BaselineFile) -> None:
    """Raise if an object in these bytes has a key twice.

    Every key brings one colon, and decoding drops values but never invents one. So as many colons in the bytes as in
    the decoded record written out again means that nothing was dropped; this costs a tenth of looking at every key.
    An escaped colon breaks the count, and a default that is spelt out makes it differ: then the keys are looked at.
    """
    if raw.count(b":") == _colons(decoded) and b"\\u003" not in raw:
        return
    _walk(json.loads(raw, object_pairs_hook=_Pairs), "$")


def _colons(decoded: RunFile | BaselineFile) -> int:
    """In the record written out: case by case, since all of it at once would double the memory."""
    rest = msgspec.structs.replace(decoded, cases=())
    return sum(msgspec.json.encode(part).count(b":") for part in (rest, *decoded.cases))


class _Pairs(list[tuple[str, Any]]):
    """The keys and values of an object as they stand in the text."""


def _walk(node: object, place: str) -> None:
    if isinstance(node, _Pairs):
        seen: set[str] = set()
        for key, value in node:
            if key in seen:
                raise Flaw(member(place, key), f"the key {shown(key)} stands twice in one object")
            seen.add(key)
            _walk(value, member(place, key))
    elif isinstance(node, list):
        for i, value in enumerate(node):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            _walk(value, f"{place}[{i}]")  # pyright: ignore[reportUnknownArgumentType]
