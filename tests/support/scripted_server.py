"""A small server of the KServe v2 protocol that behaves as it is told, request by request: a peer to load."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

from pytest_gpuperf.serving.server import Server

MODEL = "doubler"
WIDTH = 4


class Handler(BaseHTTPRequestHandler):
    """Doubles what it gets; one at a time, each for as long as the script says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Scripted

    def log_message(self, *_):
        """Quiet."""

    def do_GET(self):
        tensors = {"name": "x", "datatype": "FP32", "shape": [-1, WIDTH]}
        outputs = {"name": "y", "datatype": "FP32", "shape": [-1, WIDTH]}
        script = self.server
        if self.path == "/metrics":
            self._give(200, script.metrics().encode())
            return
        found = {
            "/v2": lambda: {"name": "scripted", "version": "1"},
            "/v2/health/live": dict,
            f"/v2/models/{MODEL}/ready": dict,
            f"/v2/models/{MODEL}": lambda: {"name": MODEL, "inputs": [tensors], "outputs": [outputs]},
            f"/v2/models/{MODEL}/stats": script.statistics,
        }.get(self.path)
        if found is None or (self.path.endswith("stats") and script.silent):
            self._give(404, b'{"error": "no such path"}')
        else:
            self._give(200, json.dumps(found()).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != f"/v2/models/{MODEL}/infer":
            self._give(404, b'{"error": "no such model"}')
            return
        script = self.server
        what = script.script(next(script.numbers))
        with script.one_at_a_time:
            time.sleep(script.service)
            script.served += 1
        if what == "drop":
            self.close_connection = True
            self.connection.close()
        elif what == "hang":
            time.sleep(3600)
        elif what == "500":
            self._give(500, b'{"error": "out of luck"}')
        elif what == "garbage":
            self.wfile.write(b"SMTP ready\r\n\r\n")
            self.close_connection = True
        else:
            self._infer(body, what)

    def _infer(self, body: bytes, what: str) -> None:
        length = self.headers.get("Inference-Header-Content-Length")
        head = json.loads(body if length is None else body[: int(length)])
        shape = head["inputs"][0]["shape"]
        numbers = shape[0] * WIDTH
        told = {"name": "y", "datatype": "FP32", "shape": shape}
        if what == "wrong shape":
            told["shape"] = [shape[0], 1, WIDTH]
        if what == "wrong dtype":
            told["datatype"] = "INT32"
        if length is None:
            told["data"] = [2.0 * v for v in head["inputs"][0]["data"]]
            self._give(200, json.dumps({"model_name": MODEL, "outputs": [told]}).encode())
            return
        import numpy as np

        told["parameters"] = {"binary_data_size": 4 * numbers}
        text = json.dumps({"model_name": MODEL, "outputs": [told]}).encode()
        given = np.frombuffer(body[int(length) :], np.float32) * 2
        self._give(200, text + given.tobytes(), {"Inference-Header-Content-Length": str(len(text))})

    def _give(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        if self.server.closing:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(content)


class Scripted(ThreadingHTTPServer):
    """Its script says for the n-th request what becomes of it: ok, 500, drop, hang, garbage, wrong shape or dtype."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, script: Callable[[int], str], service: float, *, closing: bool, silent: bool) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.service, self.closing, self.silent = script, service, closing, silent
        self.numbers, self.served = count(), 0
        self.one_at_a_time = threading.Lock()

    def handle_error(self, request, client_address):
        """A client that leaves is no news."""

    def metrics(self):
        """As Triton's Prometheus text, with another model's among it."""
        us = int(self.served * self.service * 1e6)
        figures = {"request_success": self.served, "count": self.served, "exec_count": -(-self.served // 2)}
        parts = ("queue", "compute_input", "compute_infer", "compute_output")
        figures |= {f"{part}_duration_us": us if part == "compute_infer" else 0 for part in parts}
        lines = [f'nv_inference_{name}{{model="{MODEL}",version="1"}} {value}' for name, value in figures.items()]
        return "\n".join([*lines, 'nv_inference_count{model="other",version="1"} 99', ""])

    def statistics(self):
        """As Triton tells them."""
        ns = int(self.served * self.service * 1e9)
        told = {"count": self.served, "ns": ns}
        none = {"count": self.served, "ns": 0}
        return {
            "model_stats": [
                {
                    "inference_count": self.served,
                    "execution_count": -(-self.served // 2),
                    "inference_stats": {
                        "success": told,
                        "queue": none,
                        "compute_input": none,
                        "compute_infer": told,
                        "compute_output": none,
                    },
                }
            ]
        }


@contextmanager
def scripted(
    script: Callable[[int], str] = lambda _: "ok", service: float = 0.0, *, closing: bool = False, silent: bool = False
):
    """The server, and its handle as the load generator takes it."""
    server = Scripted(script, service, closing=closing, silent=silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    handle = Server(name="scripted", kind="remote", url=f"127.0.0.1:{server.server_port}", model=MODEL)
    try:
        yield server, handle
    finally:
        server.shutdown()
        server.server_close()
