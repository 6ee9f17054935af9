"""The elements of one array in a JSON text, batch after batch: cut out of a buffer, whatever follows or is broken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")
_LONGEST_HEAD = 64 << 20  # bytes before the events; torch's lists of process groups may take millions
_LONGEST_BEGIN = 256
_LONGEST_TAIL = 16 << 20
_LONGEST_EVENT = 8 << 20
_BEGIN = re.compile(rb'"traceEvents"\s*:\s*\[')
_BARE = re.compile(rb"\s*\[")
_SPACE = re.compile(rb"[\s,]*")
_BETWEEN = re.compile(rb"\s*,\s*(?=\{)")
_NEXT = re.compile(rb"\}\s*,\s*(?=\{)")
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]"]', re.DOTALL)
_SCALAR = re.compile(rb"[^\s,\]{}\[]+")
_NO_NUMBERS = re.compile(rb":\s*-?(?:inf|nan|infinity)\b", re.IGNORECASE)  # torch has written them
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError)
_MARK = b"\xef\xbb\xbf"  # that some editors put before UTF-8


class Events(Generic[T]):
    """The objects of ``"traceEvents"``, or of an array that is the whole text."""

    def __init__(self, chunks: Iterator[bytes], decoder: msgspec.json.Decoder[list[T]]) -> None:
        """Nothing is read yet."""
        self._chunks, self._decoder = chunks, decoder
        self._buffer = bytearray()  # once the array has begun, it starts with its bracket
        self.found = False  # the array's begin
        self.is_bare = False  # the array is the whole text
        self.is_cut = False  # the text ends before it should
        self.unreadable = 0
        self.count = 0
        self.outside: list[bytes] = []  # the text before and behind the array, each a whole object where it can be

    def batches(self) -> Iterator[list[T]]:
        """All elements, in the order of the text."""
        self.found = self._begins()
        if not self.found:
            return
        ended, chunk = False, b""  # the first of them came with the begin
        while not ended and chunk is not None:
            self._buffer += chunk
            batch, ended = self._next_batch()
            self.count += len(batch)
            yield batch
            chunk = None if ended else next(self._chunks, None)
        if not ended:
            batch, used, ended = self._walked(bytes(self._buffer), last=True)
            self.count += len(batch)
            yield batch
            del self._buffer[:used]
            self.is_cut = not ended and not (self.is_bare and not self._buffer.strip(b", \t\r\n"))
        if ended and not self.is_bare:
            self._behind()

    def _begins(self) -> bool:
        """Reads until the array begins; what comes before it is kept."""
        searched = 0
        while True:
            if self._buffer.startswith(_MARK):
                del self._buffer[: len(_MARK)]
            bare = _BARE.match(self._buffer)
            begin = bare or _BEGIN.search(self._buffer, searched)
            if begin is not None:
                self.is_bare = bare is not None
                if not self.is_bare:
                    self.outside.append(bytes(self._buffer[: begin.end()]) + b"]}")
                del self._buffer[: begin.end() - 1]
                return True
            chunk = next(self._chunks, b"")
            if not chunk or len(self._buffer) > _LONGEST_HEAD:
                self.outside.append(bytes(self._buffer))
                return False
            searched = max(0, len(self._buffer) - _LONGEST_BEGIN)
            self._buffer += chunk

    def _next_batch(self) -> tuple[list[T], bool]:
        """All whole elements in the buffer, and whether the array ended."""
        at = len(self._buffer)
        while (at := self._buffer.rfind(b"}", 0, at)) >= 0:
            between = _BETWEEN.match(self._buffer, at + 1)
            if between is not None:
                break
        else:
            if len(self._buffer) < _LONGEST_EVENT:
                return [], False
            between = None
        if between is not None:
            # A cut within an element or a text leaves brackets open, and does not decode: no wrong cut goes unnoticed.
            rest, begin = self._buffer[at + 1 :], between.end() - at - 1
            self._buffer[at + 1 :] = b"]"
            batch = self._decoded(self._buffer)
            if batch is not None:
                self._buffer = bytearray(b"[") + rest[begin:]
                return batch, False
            self._buffer[at + 1 :] = rest
        batch, used, ended = self._walked(bytes(self._buffer), last=False)
        self._buffer[:used] = b"" if ended else b"["
        return batch, ended

    def _decoded(self, text: bytes | bytearray) -> list[T] | None:
        try:
            return self._decoder.decode(text)
        except _BROKEN:
            pass
        repaired = _NO_NUMBERS.sub(b": null", text).decode(errors="replace")
        try:
            return self._decoder.decode(repaired)
        except _BROKEN:
            return None

    def _walked(self, data: bytes, *, last: bool) -> tuple[list[T], int, bool]:
        """Element by element: those that decode, how much of the data they took, and whether the array ended."""
        found: list[T] = []
        at = 1
        while True:
            before = at
            at = _space(data, at)
            if at >= len(data):
                return found, before if last else at, False
            if data[at : at + 1] == b"]":
                return found, at + 1, True
            end = _end(data, at)
            if end is None and len(data) - at > _LONGEST_EVENT:
                next_one = _NEXT.search(data, at)
                end = len(data) if next_one is None else next_one.end()
            if end is None:
                return found, at, False
            batch = self._decoded(b"[" + data[at:end] + b"]")
            if batch is None:
                self.unreadable += 1
            else:
                found += batch
            at = end

    def _behind(self) -> None:
        """The rest of the text, as an object of its own."""
        last = self._buffer.rstrip()[-1:]
        for chunk in self._chunks:
            last = chunk.rstrip()[-1:] or last
            if len(self._buffer) < _LONGEST_TAIL:
                self._buffer += chunk
        self.is_cut = last != b"}"
        self.outside.append(b"{" + bytes(self._buffer).lstrip(b", \t\r\n"))


def _space(data: bytes, at: int) -> int:
    space = _SPACE.match(data, at)
    return at if space is None else space.end()


def _end(data: bytes, at: int) -> int | None:
    """Where the element that begins here ends; None where it does not."""
    if data[at : at + 1] not in (b"{", b"["):
        scalar = _TOKENS.match(data, at) if data[at : at + 1] == b'"' else _SCALAR.match(data, at)
        return at + 1 if scalar is None else scalar.end()
    depth = 0
    for token in _TOKENS.finditer(data, at):
        character = token[0]
        if character in (b"{", b"["):
            depth += 1
        elif character in (b"}", b"]"):
            depth -= 1
            if depth == 0:
                return token.end()
        elif character == b'"':  # a text that does not end
            return None
    return None
