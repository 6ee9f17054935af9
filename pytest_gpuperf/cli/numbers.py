"""Numbers as a command line has them."""

from __future__ import annotations

from argparse import ArgumentTypeError
from math import isfinite


def numbers(text: str) -> tuple[int, ...]:
    """``1,4,8`` in order, each once and at least 1."""
    try:
        found = tuple(sorted({int(word) for word in text.split(",")}))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} are no numbers. Write them like 1,4,8") from None
    if found[0] < 1:
        raise ArgumentTypeError(f"{found[0]} is less than 1")
    return found


def number(text: str) -> int:
    """One of them."""
    first, *others = numbers(text)
    if others:
        raise ArgumentTypeError(f"{text!r} are several numbers, and one is wanted")
    return first


def rates(text: str) -> tuple[float, ...]:
    """``0.5,1,2`` in order, each once and above 0."""
    try:
        found = tuple(sorted({float(word) for word in text.split(",")}))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} are no rates. Write requests a second, like 0.5,1,2") from None
    wrong = [rate for rate in found if not (isfinite(rate) and rate > 0)]
    if wrong:
        raise ArgumentTypeError(f"{wrong[0]:g} is no rate: requests a second are above 0")
    return found
