"""One request and its whole answer, by itself: what is asked before, between and after the load."""
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from urllib.parse import urlsplit

from pytest_gpuperf.serving.server import Server

_SHOWN = 500  # characters of a server's message


@dataclass(frozen=True)
class Reply:
    """An answer of HTTP."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    content: bytes
    seconds: float  # from sending to the last byte; connecting is not in it

    @property
    def size(self) -> int:
        """Bytes on the wire, as nearly as can be told."""
        return (
            len(self.content)
            + sum(len(k) + len(v) + 4 for k, v in self.headers.items())
            + len("HTTP/1.1 200 OK\r\n\r\n")
        )


class NotHttpError(OSError):
    """What came back is nothing that HTTP allows."""


def exchange(
    url: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, timeout: float = 60.0
) -> Reply:
    """GET, or POST where there is a body; past any proxy that the environment names, as the load goes.

    OSError where no whole answer comes: also of what breaks off, or is no HTTP.
    """
    connection = http.client.HTTPConnection(url, timeout=timeout)
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
        if isinstance(error, OSError):  # the server closed the connection and said nothing
            raise
        raise NotHttpError(f"no answer of HTTP: {error!r}") from error
    finally:
        connection.close()
    return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, content, seconds)


def fetched(url: str, timeout: float) -> bytes:
    """What a whole http:// address has; OSError where it answers nothing, or anything but success."""
    where = urlsplit(url)
    reply = exchange(where.netloc, where.path, timeout=timeout)
    if reply.status != HTTPStatus.OK:
        raise OSError(f"HTTP status {reply.status}")
    return reply.content


def accepted(reply: Reply) -> Reply:
    """The same, where the server accepted; else what it said, as tritonclient would raise it."""
    if reply.status != HTTPStatus.OK:
        from tritonclient.utils import InferenceServerException  # noqa: PLC0415 - an extra

        raise InferenceServerException(reply.content.decode(errors="replace")[:_SHOWN], status=str(reply.status))
    return reply


def got(server: Server, path: str, timeout: float = 60.0) -> bytes:
    """What the server has at a path."""
    return accepted(exchange(server.url, path, timeout=timeout)).content
