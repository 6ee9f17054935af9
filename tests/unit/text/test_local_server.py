"""A server that runs and does not say what its model is called is stopped, and said so."""

from __future__ import annotations

import os
import re
import sys

import pytest
from served import gone

from pytest_gpuperf.errors import ServerError
from pytest_gpuperf.text.served.local import LocalServer, start_local

SERVER = """
import http.server, os, sys
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("process", os.getpid(), flush=True)
        self.send_response(200 if self.path == "/health" else int(sys.argv[2]))
        self.end_headers()
        self.wfile.write(sys.argv[3].encode())
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"""


@pytest.mark.parametrize(
    ("status", "content", "says"),
    [
        (200, "<html>", r"'odd' runs, and does not list its model at http://.*/v1/models: JSON is malformed"),
        (200, '{"models": []}', "does not list its model at .*missing required field `data`"),
        (500, "", "does not list its model at .*HTTP status 500"),
        (200, '{"data": []}', r"'odd' runs, and has no model \(http://.*/v1/models lists none\)"),
    ],
)
def test_a_server_that_names_no_model(tmp_path, status, content, says):
    odd = LocalServer(
        name="odd",
        command=lambda port: [sys.executable, "-u", "-c", SERVER, str(port), str(status), content],
        environment=os.environ,
    )
    with pytest.raises(ServerError, match=says):
        start_local(odd, folder=tmp_path, timeout=60)
    (log,) = tmp_path.iterdir()
    assert gone([int(pid) for pid in re.findall(r"process (\d+)", log.read_text())])
