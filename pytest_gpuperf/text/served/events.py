"""One streamed answer: when its parts came, and afterwards what stood in them.

While it streams no more is done than to keep the bytes and the time of each part. What is an event, and what stands in
it, is looked at when the answer is whole.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import httptools
import msgspec
from msgspec import Struct

from pytest_gpuperf.records.answer_stream import TEXT
from pytest_gpuperf.records.units import many
from pytest_gpuperf.serving.exchange import SHOWN
from pytest_gpuperf.serving.faults import Fault
from pytest_gpuperf.text.served.key import hidden

LONGEST = 64 << 20  # bytes of an answer
_DONE = b"[DONE]"
_EMPTY = {_DONE, b"null"}  # llama.cpp begins with null where several prompts are asked at once
_ERROR = b'{"error"'


class Streamed(Struct, frozen=True, array_like=True):
    """A good answer: nanoseconds on the clock of its row, and the letters of `records/answer_stream.py`."""

    times: list[int]  # of each event
    kinds: str
    end: int
    prompt_tokens: int | None = None
    generated_tokens: int | None = None
    cached_tokens: int | None = None


class _Delta(Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[Any] | None = None


class _Choice(Struct):
    delta: _Delta | None = None
    text: str | None = None  # of the older API
    finish_reason: str | None = None


class _Cached(Struct):
    cached_tokens: int | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Cached | None = None


class _Event(Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None


_event = msgspec.json.Decoder(_Event)


class AnswerStream:
    """An answer while it streams, and what it was when it has ended."""

    def __init__(self) -> None:
        self.closes = False
        self._parser = httptools.HttpResponseParser(self)
        self._body = bytearray()
        self._parts: list[tuple[int, int]] = []  # bytes until then, and when they had come
        self._at = 0
        self._whole = False
        self._length_known = False
        self._trouble: tuple[Fault, str] | None = None

    # What httptools calls.
    def on_header(self, name: bytes, _value: bytes) -> None:
        """Look whether the answer tells where it ends."""
        self._length_known |= name.lower() in {b"content-length", b"transfer-encoding"}

    def on_body(self, body: bytes) -> None:
        """Keep what came, and when."""
        self._body += body
        self._parts.append((len(self._body), self._at))

    def on_message_complete(self) -> None:
        """Nothing more comes."""
        self._whole = True

    def feed(self, part: memoryview, at: int) -> bool:
        """Take in what came at that time; True when the answer is whole. ValueError where it is no answer of HTTP."""
        self._at = at
        try:
            self._parser.feed_data(part)
        except httptools.HttpParserError as error:
            raise ValueError(f"not an HTTP answer ({error}): {bytes(part[:SHOWN])!r}") from None
        if len(self._body) > LONGEST:
            raise ValueError(f"the answer is longer than {LONGEST >> 20} MiB")
        if self._whole:
            self.closes = not self._parser.should_keep_alive()
        return self._whole

    def ends_here(self) -> bool:
        """An answer that does not tell its length ends with its connection."""
        self.closes = True
        return bool(self._parts) and not self._length_known

    @property
    def status(self) -> int:
        """Of HTTP."""
        return self._parser.get_status_code()

    @property
    def body(self) -> bytes:
        """All of it."""
        return bytes(self._body)

    def fault(self) -> Fault | None:
        """What is wrong with the whole answer; afterwards `streamed` is what it was."""
        if self.status != HTTPStatus.OK:
            self._trouble = ("status", f"{self.status}: {self.body[:SHOWN].decode(errors='replace')}")
        else:
            self._trouble = self._read()
        return None if self._trouble is None else self._trouble[0]

    def message(self) -> str:
        """What is wrong with it, in words."""
        return "" if self._trouble is None else hidden(self._trouble[1])

    def _read(self) -> tuple[Fault, str] | None:
        ends, moments = [end for end, _ in self._parts], [at for _, at in self._parts]
        read = _Read()
        for line, until, name in _lines(self._body):
            trouble = read.take(line, name, moments[bisect_left(ends, until)])
            if trouble is not None:
                return trouble
        if not read.kinds:
            body = self.body[:SHOWN].decode(errors="replace")
            return "unreadable", f"the answer holds no event of a stream: {body!r}"
        if not TEXT.intersection(read.kinds):
            return "no text", f"the stream ended after {many(len(read.kinds), 'event')}, and none had text"
        if not read.finished:
            return "cut short", f"the stream ended after {many(len(read.kinds), 'event')}, without a reason or [DONE]"
        self.streamed = read.streamed(moments[-1])
        return None


class _Read:
    """The events of a stream, one after the other."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.finished = False
        self._times: list[int] = []
        self._usage = _Usage()

    def take(self, line: bytes, name: bytes, at: int) -> tuple[Fault, str] | None:
        """Take in an event's data; gives what is wrong with it."""
        if line == _DONE:
            self.finished = True
        if line in _EMPTY:
            return None
        shown = line[:SHOWN].decode(errors="replace")
        try:
            event = _decoded(line)
        except msgspec.DecodeError:
            if line.startswith(_ERROR):  # transformers quotes its message as it is
                return "error event", f"the stream says: {shown}"
            return "unreadable", f"an event is no JSON that the protocol has: {shown!r}"
        if event.error is not None or name == b"error":
            return "error event", f"the stream says: {shown}"
        self._usage = event.usage or self._usage
        self.finished |= any(choice.finish_reason is not None for choice in event.choices)
        self._times.append(at)
        self.kinds.append(_kind(event))
        return None

    def streamed(self, end: int) -> Streamed:
        """All of it."""
        usage, cached = self._usage, self._usage.prompt_tokens_details
        return Streamed(
            self._times,
            "".join(self.kinds),
            end,
            usage.prompt_tokens,
            usage.completion_tokens,
            None if cached is None else cached.cached_tokens,
        )


def _lines(body: bytearray) -> Iterator[tuple[bytes, int, bytes]]:
    """The data of each event, the byte with which it was complete, and the name of the event where it has one."""
    start, name = 0, b""
    while start < len(body):
        end = body.find(b"\n", start)
        end = len(body) if end < 0 else end
        line = bytes(body[start:end]).rstrip(b"\r")
        start = end + 1
        if not line:
            name = b""
        elif line.startswith(b"event:"):
            name = line[6:].strip()
        elif line.startswith(b"error:"):  # as llama.cpp has written it
            yield line[6:].strip(), min(end + 1, len(body)), b"error"
        elif line.startswith(b"data:"):
            yield line[5:].strip(), min(end + 1, len(body)), name


def _decoded(line: bytes) -> _Event:
    try:
        return _event.decode(line)
    except UnicodeDecodeError:  # a server may send half of a letter: that it came is what counts here
        return _event.decode(line.decode(errors="replace").encode())


def _kind(event: _Event) -> str:
    """The letter of an event."""
    if not event.choices:
        return "u" if event.usage is not None else "o"
    for choice in event.choices:
        delta = choice.delta or _Delta()
        if delta.content or choice.text or delta.tool_calls:
            return "t"
        if delta.reasoning_content or delta.reasoning:
            return "g"
    return "f" if any(c.finish_reason is not None for c in event.choices) else "r"
