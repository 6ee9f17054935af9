"""One request and its whole answer, outside the load: for questions before, between and after it."""
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from urllib.parse import urlsplit

from msgspec import Struct

from pytest_gpuperf.errors import MissingError
from pytest_gpuperf.serving.faults import Fault
from pytest_gpuperf.serving.server import Server

try:
    import httptools
except ModuleNotFoundError:  # whatever has to do with servers comes through here
    raise MissingError(
        "Servers are asked with httptools, not installed here. Install what they need: "
        "pip install 'pytest-gpuperf[serving]', or of language models 'pytest-gpuperf[text]'"
    ) from None

LONGEST_HEAD = 1 << 16
SHOWN = 500  # bytes or characters of a server's message
_SHAPES = re.compile(rb'"shape"\s*:\s*\[([\d,\s]*)\]')
_TYPES = re.compile(rb'"datatype"\s*:\s*"(\w+)"')


class Expected(Struct, frozen=True):
    """What every answer to the one request looks like, from the first one, which was read with tritonclient."""

    beginning: bytes  # of the body: names, types and shapes of the outputs
    length: int | None  # of the body; None: numbers written out have no fixed length


class _Head:
    """What httptools reports of an answer's head. It never gets the body, since it would copy it."""

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

    def feed(self, part: memoryview, at: int) -> bool:  # noqa: ARG002 - when it came: of a whole answer, its end counts
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

    def ends_here(self) -> bool:
        """Whether it is complete where the server closed the connection: its length says more is to come."""
        return False

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


@dataclass(frozen=True)
class Reply:
    """An answer of HTTP."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    content: bytes
    seconds: float  # from sending to the last byte; connecting is not in it

    @property
    def size(self) -> int:
        """Bytes on the wire, as nearly as the parsed answer shows."""
        return (
            len(self.content)
            + sum(len(k) + len(v) + 4 for k, v in self.headers.items())
            + len("HTTP/1.1 200 OK\r\n\r\n")
        )


class NotHttpError(OSError):
    """What came back is nothing that HTTP allows."""


def exchange(
    url: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 60.0,
    *,
    secure: bool = False,
) -> Reply:
    """Send GET, or POST where there is a body. Like the load it goes past any proxy that the environment names.

    Raises OSError where no whole answer comes, also where the answer breaks off or is not HTTP.
    """
    connection = (http.client.HTTPSConnection if secure else http.client.HTTPConnection)(url, timeout=timeout)
    try:
        connection.connect()
        begun = perf_counter()
        connection.request("GET" if body is None else "POST", path, body, dict(headers or {}))
        response = connection.getresponse()
        content = response.read()
        seconds = perf_counter() - begun
    except http.client.IncompleteRead as error:
        raise ConnectionResetError(f"the answer broke off: {error!r}") from error
    except http.client.HTTPException as error:
        if isinstance(error, OSError):  # the server closed the connection without an answer
            raise
        raise NotHttpError(f"no answer of HTTP: {error!r}") from error
    finally:
        connection.close()
    return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, content, seconds)


def fetched(url: str, timeout: float) -> bytes:
    """The content at a whole address; OSError where nothing answers, or the answer is not success."""
    where = urlsplit(url)
    reply = exchange(where.netloc, where.path, timeout=timeout, secure=where.scheme == "https")
    if reply.status != HTTPStatus.OK:
        raise OSError(f"HTTP status {reply.status}")
    return reply.content


def accepted(reply: Reply) -> Reply:
    """The reply itself, where the server accepted the request; else raises its message, as tritonclient would."""
    if reply.status != HTTPStatus.OK:
        from tritonclient.utils import InferenceServerException  # noqa: PLC0415 - an extra

        raise InferenceServerException(reply.content.decode(errors="replace")[:SHOWN], status=str(reply.status))
    return reply


def got(server: Server, path: str, timeout: float = 60.0) -> bytes:
    """The content at one of the server's paths."""
    return accepted(exchange(server.url, path, timeout=timeout)).content
