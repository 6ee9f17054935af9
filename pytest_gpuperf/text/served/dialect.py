"""What one server understands of the protocol: asked once, before anything is timed."""

from __future__ import annotations

import json
import select
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from time import perf_counter_ns
from typing import Any

from pytest_gpuperf.records.text_load import Api
from pytest_gpuperf.serving.connection import Connection, Incoming, resolve
from pytest_gpuperf.serving.faults import Fault, WrongAnswerError, failure
from pytest_gpuperf.serving.pacing import Due
from pytest_gpuperf.serving.server import Server
from pytest_gpuperf.text.served.events import AnswerStream, Streamed
from pytest_gpuperf.text.served.key import authorization

_PATHS: dict[Api, str] = {"chat": "/chat/completions", "completions": "/completions"}
_WITHOUT = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)
_REFUSED = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
# In the order in which they are given up where a refusal does not name one.
_EXTRAS: dict[str, Any] = {"ignore_eos": True, "stream_options": {"include_usage": True}, "temperature": 0}
_MEANING = {
    "ignore_eos": "answers may end before all tokens, so sessions may do unequal work",
    "stream_options": "the server may not count tokens",
    "temperature": "tokens are sampled as the server likes",
    "max_tokens": "max_completion_tokens was taken",
}


@dataclass(frozen=True)
class Dialect:
    """How this server is asked."""

    server: Server
    api: Api
    max_new_tokens: int
    extras: Mapping[str, Any]
    length_field: str = "max_tokens"
    dropped: tuple[str, ...] = ()  # what was given up, a sentence each

    def request(self, prompt: str) -> bytes:
        """The whole HTTP request for a prompt."""
        server = self.server
        asked: dict[str, Any] = (
            {"messages": [{"role": "user", "content": prompt}]} if self.api == "chat" else {"prompt": prompt}
        )
        body = {"model": server.model, "stream": True, **asked, self.length_field: self.max_new_tokens, **self.extras}
        content = json.dumps(body).encode()
        lines = [
            f"POST {server.path}{_PATHS[self.api]} HTTP/1.1",
            f"Host: {server.url}",
            "Accept: text/event-stream",
            "Content-Type: application/json",
            f"Content-Length: {len(content)}",
            *(f"{name}: {value}" for name, value in authorization().items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + content

    def without(self, field: str) -> Dialect:
        """The same without a field that the server refuses."""
        note = f"{field} was refused and left out: {_MEANING[field]}"
        if field == "max_tokens":
            return replace(self, length_field="max_completion_tokens", dropped=(*self.dropped, note))
        extras = {name: value for name, value in self.extras.items() if name != field}
        return replace(self, extras=extras, dropped=(*self.dropped, note))


@dataclass(frozen=True)
class Asked:
    """One answer, and how long it took."""

    streamed: Streamed
    seconds: float


class RefusedError(WrongAnswerError):
    """An answer that is none: as the load generator's processes would report it."""

    def __init__(self, fault: Fault, message: str, status: int) -> None:
        Exception.__init__(self, message)
        self.fault = fault
        self.status = status


def negotiate(server: Server, api: Api, max_new_tokens: int, prompt: str, timeout: float) -> tuple[Dialect, Asked]:
    """Find out how the server wants to be asked, by asking it."""
    dialect = Dialect(server, api, max_new_tokens, _EXTRAS)
    first: RefusedError | None = None
    while True:
        try:
            return dialect, ask(dialect, prompt, timeout)
        except RefusedError as error:
            first = first or error
            simpler = _simpler(dialect, error)
            if simpler is None:
                raise failure(server, "to answer its first request", first) from error
            dialect = simpler


def _simpler(dialect: Dialect, refusal: RefusedError) -> Dialect | None:
    """What to ask for instead; None where nothing is left to give up."""
    if refusal.status in _WITHOUT and dialect.api == "chat":
        note = "it has no chat: prompts are completed, without the template of a chat"
        return replace(dialect, api="completions", dropped=(*dialect.dropped, note))
    if refusal.status not in _REFUSED:
        return None
    candidates = [*dialect.extras, *(["max_tokens"] if dialect.length_field == "max_tokens" else [])]
    named = [field for field in candidates if field in str(refusal)]
    if not named and "context" in str(refusal):  # no field is at fault: the prompt is too long
        return None
    found = next(iter([*named, *candidates]), None)
    return None if found is None else dialect.without(found)


def ask(dialect: Dialect, prompt: str, timeout: float) -> Asked:
    """One answer, read by what reads those of a load; `RefusedError` or `ServerError` where there is none."""
    server = dialect.server
    answer = AnswerStream()
    request = dialect.request(prompt)

    def once() -> tuple[bytes, Incoming]:
        return request, answer

    try:
        connection = Connection(resolve(*server.host_and_port, secure=server.secure), once)
        began, ended = _exchange(connection, timeout)
    except (OSError, ValueError) as error:
        raise failure(server, "to answer its first request", error) from error
    fault = answer.fault()
    if fault is not None:
        raise RefusedError(fault, answer.message(), answer.status)
    return Asked(answer.streamed, (ended - began) / 1e9)


def _exchange(connection: Connection, timeout: float) -> tuple[int, int]:
    """Send, and wait until the answer is whole; gives when that was, in nanoseconds."""
    until = perf_counter_ns() + int(timeout * 1e9)
    try:
        connection.open()
        connection.begin(Due(perf_counter_ns()), perf_counter_ns())
        while not connection.proceed():
            assert connection.socket is not None
            writing = [connection.socket] if connection.wants_to_write else []
            left = (until - perf_counter_ns()) / 1e9
            if left <= 0 or not any(select.select([connection.socket], writing, [], left)):
                raise TimeoutError(f"no whole answer within {timeout:g} s")
        return connection.sent, perf_counter_ns()
    finally:
        connection.close()
