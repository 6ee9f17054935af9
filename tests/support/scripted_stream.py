"""A small server of the OpenAI protocol that streams as it is told, request by request: a peer to load."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

from pytest_gpuperf.serving.server import Server

MODEL = "writer"
STATUS = {
    "401": b'{"error": {"message": "no such key: KEY"}}',
    "429": b'{"error": {"message": "too many"}}',
    "500": b'{"error": {"message": "out of luck"}}',
}


def event(**fields) -> bytes:
    return b"data: " + json.dumps({"object": "chat.completion.chunk", **fields}).encode() + b"\n\n"


def piece(text: str | None = None, *, finish: str | None = None, **delta) -> bytes:
    if text is not None:
        delta["content"] = text
    return event(choices=[{"index": 0, "delta": delta, "finish_reason": finish}])


DONE = b"data: [DONE]\n\n"
LETTER = piece("X", finish="length")
STRANGE = {  # after the chunk that names the role
    "after role": [],
    "garbage": [b"data: {]\n\n"],
    "error event": [piece("a") + b'data: {"error": {"message": "out of memory"}}\n\n'],
    "named error": [b'event: error\ndata: {"message": "out of memory"}\n\n'],
    "quoted error": [b'data: {"error": "it said "no""}\n\n'],
    "old error": [b'error: {"message": "out of memory"}\n\n'],
    "huge": [piece("x" * 10_000_000) + piece(finish="stop") + DONE],
    "endless": [piece("a")] * 100_000,
    "split letter": [LETTER.partition(b"X")[0] + b"\xc3", b"\xa9" + LETTER.partition(b"X")[2] + DONE],
    "half a letter": [LETTER.replace(b"X", b"\xc3") + DONE],
    "silent": [piece(finish="stop") + DONE],
    "null first": [b"data: null\n\n", b": a comment\n\n", LETTER + DONE],
}


class Handler(BaseHTTPRequestHandler):
    """Writes one token after the other, each after as long as it is told."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Streaming

    def log_message(self, *_):
        """Quiet."""

    def do_GET(self):
        models = json.dumps({"object": "list", "data": [{"id": MODEL, "owned_by": "a test"}]}).encode()
        self._give(200 if self.path == "/v1/models" else 404, models)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        script = self.server
        script.bodies.append(body)
        script.keys.append(self.headers["Authorization"])
        refused = sorted(script.refuses & set(body))
        if self.path != "/v1/chat/completions" and (self.path != "/v1/completions" or "messages" in body):
            self._give(404, b'{"error": "no such path"}')
        elif self.path == "/v1/chat/completions" and not script.chat:
            self._give(404, b'{"error": "no chat here"}')
        elif refused:
            named = f"Unexpected fields: {refused}" if script.names_refused else "Unexpected fields"
            self._give(422, json.dumps({"detail": named}).encode())
        else:
            what = script.script(next(script.numbers))
            if what in STATUS:
                self._give(int(what), STATUS[what].replace(b"KEY", (self.headers["Authorization"] or "").encode()))
            else:
                self._stream(body, what)

    def _stream(self, body, what: str) -> None:
        script, chat = self.server, "messages" in body
        tokens = body.get("max_tokens", body.get("max_completion_tokens"))
        role = piece("", role="assistant") if chat else b""
        if what == "plain":
            self._give(200, b'{"choices": [{"message": {"content": "all at once"}}]}')
            return
        self._open(chunked=what != "until closed")
        early = role if what == "early role" else b""
        self._send(early)
        time.sleep(script.first)
        self._send(role[len(early) :])
        for part in STRANGE[what] if what in STRANGE else self._texts(what, tokens, chat=chat):
            self._send(part)
            time.sleep(script.each)
        if what in {"after role", "stops"}:
            self._leave()
            return
        if what not in STRANGE:
            self._send(b"" if what == "no end" else piece(finish="length"))
            self._send(self._usage(tokens, what) if "stream_options" in body and what != "no usage" else b"")
            self._send(b"" if what in {"no end", "no done"} else DONE)
        script.served += 1
        if self._chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _texts(self, what: str, tokens: int, *, chat: bool):
        for n in range(1 if what == "stops" else tokens):
            if what == "bundled":
                if n % 2 == 0:
                    yield piece("xy")
            elif what == "reasoning" and n < tokens // 2:
                yield piece(reasoning_content="é")
            else:
                yield piece("é") if chat else event(choices=[{"index": 0, "text": "é", "finish_reason": None}])

    def _usage(self, tokens: int, what: str) -> bytes:
        counts = {"prompt_tokens": 7, "completion_tokens": 3 if what == "liar" else tokens}
        return event(choices=[], usage={**counts, "prompt_tokens_details": {"cached_tokens": self.server.cached}})

    def _open(self, *, chunked: bool) -> None:
        self._chunked = chunked
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.close_connection = True
        self.end_headers()

    def _send(self, content: bytes) -> None:
        if content:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(content), content) if self._chunked else content)

    def _leave(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _give(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Streaming(ThreadingHTTPServer):
    """Its script says for the n-th prompt what becomes of it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, script: Callable[[int], str], **how) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = script
        self.first, self.each = how.get("first", 0.002), how.get("each", 0.0005)  # seconds
        self.refuses, self.names_refused = set(how.get("refuses", ())), how.get("names_refused", True)
        self.chat, self.cached = how.get("chat", True), how.get("cached", 0)
        self.numbers, self.served = count(), 0
        self.bodies: list[dict] = []
        self.keys: list[str | None] = []

    def handle_error(self, request, client_address):
        """A client that leaves is no news."""


@contextmanager
def streaming(script: Callable[[int], str] | str = "ok", **how):
    """The server while it runs, and its handle."""
    scripted = Streaming((lambda _: script) if isinstance(script, str) else script, **how)
    if "certificate" in how:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(how["certificate"])
        scripted.socket = context.wrap_socket(scripted.socket, server_side=True)
    thread = threading.Thread(target=scripted.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        url = f"127.0.0.1:{scripted.server_address[1]}"
        yield (
            scripted,
            Server(name="scripted", kind="openai", url=url, model=MODEL, path="/v1", secure="certificate" in how),
        )
    finally:
        scripted.shutdown()
        scripted.server_close()
        thread.join()
