"""How the load generator's processes talk over pipes: a kind, a length, and so many bytes."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import Literal

Kind = Literal["order", "asking", "go", "ready", "rows", "details", "message", "end"]

_KINDS: tuple[Kind, ...] = ("order", "asking", "go", "ready", "rows", "details", "message", "end")
_HEAD = struct.Struct("<Bq")


def write(fd: int, kind: Kind, payload: bytes = b"") -> None:
    """Write one frame whole; the pipe's reader sets the pace."""
    for part in (_HEAD.pack(_KINDS.index(kind), len(payload)), payload):
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(fd, rest) :]


def read(fd: int) -> tuple[Kind, bytes] | None:
    """Read one frame, waiting for it; None at the end of the pipe."""
    head = _exactly(fd, _HEAD.size)
    if head is None:
        return None
    number: int
    number, length = _HEAD.unpack(head)
    payload = _exactly(fd, length)
    return None if payload is None else (_KINDS[number], payload)


def _exactly(fd: int, size: int) -> bytes | None:
    got = bytearray()
    while len(got) < size:
        part = os.read(fd, min(size - len(got), 1 << 20))
        if not part:
            return None
        got += part
    return bytes(got)


class Unpacking:
    """Frames out of whatever parts of them have arrived."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, part: bytes) -> Iterator[tuple[Kind, bytes]]:
        """The frames that are whole now."""
        self._rest += part
        while len(self._rest) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._rest)
            end = _HEAD.size + length
            if len(self._rest) < end:
                return
            payload = bytes(self._rest[_HEAD.size : end])
            del self._rest[:end]
            yield _KINDS[kind], payload
