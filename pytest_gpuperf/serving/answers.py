"""Reading answers of HTTP/1.1 as they come in, and seeing at once whether they are what the model gives."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httptools
from msgspec import Struct

from pytest_gpuperf.serving.faults import Fault

LONGEST_HEAD = 1 << 16
SHOWN = 500  # bytes of a server's message
_SHAPES = re.compile(rb'"shape"\s*:\s*\[([\d,\s]*)\]')
_TYPES = re.compile(rb'"datatype"\s*:\s*"(\w+)"')


class Expected(Struct, frozen=True):
    """What every answer to the one request looks like, from the first one, which was read with tritonclient."""

    beginning: bytes  # of the body: names, types and shapes of the outputs
    length: int | None  # of the body; None: numbers written out have no fixed length


class _Head:
    """What httptools tells of it; the body is never given to it, since it would be copied."""

    length: int | None = None

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-length":
            self.length = int(value)


@dataclass(slots=True)
class Answer:
    """One answer; only its beginning is kept."""

    expected: Expected
    kept: bytearray
    received: int = 0
    whole: int = -1  # bytes of head and body; -1: the head has not ended yet
    body: int = 0  # where it begins
    status: int = 0
    closes: bool = False  # whether the server closes the connection after it

    def feed(self, part: memoryview) -> bool:
        """Whether it is complete; ValueError where it is no answer of HTTP."""
        self.received += len(part)
        if self.whole >= 0:
            if len(self.kept) < self.body + len(self.expected.beginning):
                self.kept += part
            return self.received >= self.whole
        self.kept += part
        end = self.kept.find(b"\r\n\r\n")
        if end < 0:
            if self.received > LONGEST_HEAD or not self.kept.startswith(b"HTTP/1."[: self.received]):
                raise ValueError(f"not an HTTP answer: {bytes(self.kept[:SHOWN])!r}")
            return False
        self.body = end + 4
        self._read_head(bytes(self.kept[: self.body]))
        return self.received >= self.whole

    def _read_head(self, text: bytes) -> None:
        head = _Head()
        parser = httptools.HttpResponseParser(head)
        try:
            parser.feed_data(text)
        except httptools.HttpParserError as error:
            raise ValueError(f"not an HTTP answer ({error}): {text[:SHOWN]!r}") from None
        if head.length is None:
            raise ValueError("the answer does not say its length (chunked answers are not read)")
        self.status = parser.get_status_code()
        self.closes = not parser.should_keep_alive()
        self.whole = len(text) + head.length

    def fault(self) -> Fault | None:
        """What is wrong with a complete answer."""
        if self.status != 200:
            return "status"
        expected, length = self.expected, self.whole - self.body
        beginning = bytes(self.kept[self.body : self.body + len(expected.beginning)])
        if beginning != expected.beginning:
            # Servers may add what differs between answers, so only what matters is compared.
            if _TYPES.findall(beginning) != _TYPES.findall(expected.beginning):
                return "wrong dtype"
            if _SHAPES.findall(beginning) != _SHAPES.findall(expected.beginning):
                return "wrong shape"
        elif expected.length not in {None, length}:
            return "unreadable"
        return None

    def message(self) -> str:
        """What stands in it, for a person."""
        return f"{self.status}: {bytes(self.kept[self.body : self.body + SHOWN]).decode(errors='replace')}"
