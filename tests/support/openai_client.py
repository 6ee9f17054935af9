"""Asking a server with OpenAI's API, plainly: one request, one answer, or the events of a stream."""

from __future__ import annotations

import http.client
import json
import os
from importlib import util

import pytest

from pytest_gpuperf.serving.server import Server

REQUIRE = "GPUPERF_REQUIRE_TEXT"


def require(*packages: str) -> None:
    """Skip without them, or fail where GPUPERF_REQUIRE_TEXT is set."""
    missing = [package for package in packages if util.find_spec(package) is None]
    if missing:
        (pytest.fail if os.environ.get(REQUIRE) else pytest.skip)(f"needs {', '.join(missing)}")


def asked(server: Server, path: str, **request: object) -> bytes:
    """The body of the answer to a request for this server's model; it must be a success."""
    connection = http.client.HTTPConnection(server.url, timeout=60)
    body = json.dumps({"model": server.model, **request})
    connection.request("POST", server.path + path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert answer.status == 200, content
    return content


def chunks(content: bytes) -> list[dict]:
    """What the events of a stream hold, without the mark of the end that some servers send."""
    events = [event.removeprefix(b"data: ") for event in content.split(b"\n\n") if event.strip()]
    return [json.loads(event) for event in events if event != b"[DONE]"]


def tokens_of(server: Server, path: str, **request: object) -> int:
    """How many tokens a plain answer has, as the server counts them."""
    return json.loads(asked(server, path, **request))["usage"]["completion_tokens"]
