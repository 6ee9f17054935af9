"""Files that are nearly right: changed where their structure is, or in their bytes."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

NUMBERS = (0, -1, 1, 1e-320, 1e308, -0.0, 2**31, 2**63, 2**70, 10**400, 1e-12, float("nan"), float("inf"), 0.5, 1e18)
TEXTS = ("", "\x00", "\x1b[31m", "\ud800", "\u202e", "x" * 5000, "nan", "tests/../../x::y", "[", "%s{}", "2026-02-30")


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, as the keys that lead there."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def deep(levels: int) -> object:
    found: object = 0
    for _ in range(levels):
        found = [found]
    return found


def other(value: object, rng: random.Random) -> object:
    """Something else in its place."""
    if isinstance(value, bool) or value is None:
        return rng.choice((None, True, False, 0, "true", [], {}))
    if isinstance(value, (int, float)) and rng.random() < 0.8:
        return rng.choice((*NUMBERS, value * 10 ** rng.randint(-20, 20), -value, str(value)))
    if isinstance(value, str) and rng.random() < 0.8:
        return rng.choice((*TEXTS, value + value, value[:-1], value.upper(), 7))
    if isinstance(value, list) and rng.random() < 0.8:
        return rng.choice(([], value * 3, value[:1], value[::-1], [value], [None], value * 300))
    if isinstance(value, dict) and rng.random() < 0.5:
        return rng.choice(({}, [value], {**value, "extra": value}, list(value)))
    return rng.choice((None, [], {}, "", 0, deep(200), deep(5000), "x" * 100_000))


def mutated(document: Any, rng: random.Random) -> Any:
    """The document with one to three changes."""
    document = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        path = rng.choice(list(places(document)))
        if not path:
            continue
        *above, key = path
        holder = document
        for step in above:
            holder = holder[step]
        match rng.randrange(5):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[rng.choice((*TEXTS, key + "s", key.upper()))] = holder.pop(key)
            case 2 if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            case 3:
                there = rng.choice(list(places(document)))
                found = document
                for step in there:
                    found = found[step]
                holder[key] = copy.deepcopy(found)
            case _:
                holder[key] = other(holder[key], rng)
    return document


def written(document: Any, rng: random.Random) -> bytes:
    """Its bytes; now and then they are damaged themselves."""
    try:
        raw = json.dumps(mutated(document, rng), ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    except RecursionError:
        raw = b"[" * 100_000
    if rng.random() < 0.85:
        return raw
    place = rng.randrange(len(raw) + 1)
    before, after = raw[:place], raw[place:]
    return rng.choice(
        (
            before,
            before + rng.randbytes(1) + after[1:],
            b"\xef\xbb\xbf" + raw,
            raw.decode("utf-8", "replace").encode("utf-16"),
            raw + raw,
            before + after[:50] * 3 + after,
            before + bytes(rng.randrange(1, 100)) + after,
            *(b"", b"\n", b"null", b"[]", b"{}", b"7", b'"x"', b"{" * 50_000),
        )
    )
