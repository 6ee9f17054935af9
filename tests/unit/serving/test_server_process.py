"""A server's process is waited for, its log is kept, and nothing of it survives: not its children, not its memory."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pytest_gpuperf.errors import ServerError
from pytest_gpuperf.serving import server_process
from pytest_gpuperf.serving.exchange import fetched
from pytest_gpuperf.serving.server_process import HOST, PortTakenError, ServerCommand, free_ports, start, started

# A server with a child in its group, as Triton has stubs; both say who they are.
SERVER = """
import http.server, os, pathlib, subprocess, sys
port, mode = int(sys.argv[1]), sys.argv[2]
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
if mode == "dies":
    sys.exit("out of luck")
if mode == "stubborn":
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if mode == "never" else 200)
        self.end_headers()
    def log_message(self, *said):
        pass
http.server.HTTPServer(("127.0.0.1", port), Answers).serve_forever()
"""


def launch(port: int, mode: str = "answers", **more: object) -> ServerCommand:
    return ServerCommand(
        name="small",
        command=[sys.executable, "-c", SERVER, str(port), mode],
        ready_url=f"http://{HOST}:{port}/ready",
        ports=[port],
        **more,  # type: ignore[arg-type]
    )


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def child_in(log: str) -> int:
    (pid,) = re.findall(r"child (\d+)", log)
    return int(pid)


def gone(pid: int) -> bool:
    end = time.monotonic() + 10
    while running(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not running(pid)


def test_it_is_ready_when_it_is_handed_out_and_gone_with_its_children_when_it_is_stopped(tmp_path):
    server = started(lambda ports: launch(ports[0]), 1, timeout=30, folder=tmp_path)
    child = child_in(server.log_tail())
    assert server.alive()
    assert 0 < server.ready_in < 30
    assert running(server.pid)
    assert running(child)
    server.stop()
    server.stop()
    assert not server.alive()
    assert not running(server.pid)
    assert not running(child)
    assert f"child {child}" in server.log_tail(), "the log outlives the server"


def test_one_that_does_not_listen_to_the_polite_signal_is_killed(tmp_path):
    server = started(lambda ports: launch(ports[0], "stubborn", grace=0.2), 1, timeout=30, folder=tmp_path)
    child = child_in(server.log_tail())
    server.stop()
    assert server.exit_code == -signal.SIGKILL
    assert not running(server.pid)
    assert not running(child)


def test_one_that_ends_before_it_is_ready_says_why(tmp_path):
    with pytest.raises(ServerError, match="ended with exit code 1 before it was ready") as raised:
        started(lambda ports: launch(ports[0], "dies"), 1, timeout=30, folder=tmp_path)
    assert "    out of luck" in str(raised.value)
    assert gone(child_in(str(raised.value)))


def test_one_that_is_never_ready_is_stopped(tmp_path):
    with pytest.raises(ServerError, match=r"was not ready in time: it runs, and http.*HTTP status 503") as raised:
        started(lambda ports: launch(ports[0], "never"), 1, timeout=0.5, folder=tmp_path)
    assert gone(child_in(str(raised.value)))


def test_a_proxy_of_the_environment_is_not_asked_for_it(tmp_path):
    asks = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_server_process import launch
from pytest_gpuperf.serving.server_process import started
started(lambda ports: launch(ports[0]), 1, timeout=30, folder=Path({str(tmp_path)!r})).stop()
"""
    proxy = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), f"http://{HOST}:1")
    subprocess.run([sys.executable, "-c", asks], env={**os.environ, **proxy, "no_proxy": ""}, check=True)


def test_what_speaks_no_http_is_told_as_no_answer():
    with socket.create_server((HOST, 0)) as listening:

        def speak():
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 smtp.example ready\r\n")

        speaker = threading.Thread(target=speak)
        speaker.start()
        with pytest.raises(OSError, match="no answer of HTTP: BadStatusLine"):
            fetched(f"http://{HOST}:{listening.getsockname()[1]}/", 10)
        speaker.join()


def test_a_command_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ServerError, match=r"no exit code \(its command could not be run\)(.|\n)*No such file"):
        start(
            ServerCommand(name="none", command=["/nowhere/server"], ready_url="http://127.0.0.1:9/"),
            timeout=5,
            folder=tmp_path,
        )


def test_a_port_that_is_taken_is_an_error_and_another_one_is_tried_where_it_was_ours_to_choose(tmp_path):
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"another process listens on its port .*:{port}"):
            start(launch(port), timeout=30, folder=tmp_path)
        offered = [port, port, *free_ports(1)]
        server = started(lambda _: launch(offered.pop(0)), 1, timeout=30, folder=tmp_path)
        server.stop()
        with pytest.raises(PortTakenError):
            started(lambda _: launch(port), 1, timeout=30, folder=tmp_path)


def test_a_port_taken_while_it_starts_is_told_by_its_log(tmp_path, monkeypatch):
    monkeypatch.setattr(server_process, "_listening", lambda port: False)
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        with pytest.raises(PortTakenError, match="Address already in use"):
            start(launch(taken.getsockname()[1]), timeout=5, folder=tmp_path)


def test_shared_memory_that_it_leaves_is_removed(tmp_path):
    prefix = f"gpuperf-test-{os.getpid()}-"
    region, others = Path(f"/dev/shm/{prefix}1"), Path(f"/dev/shm/other-{prefix}1")
    for file in (region, others):
        file.write_bytes(b"left behind")
    try:
        started(lambda ports: launch(ports[0], regions=prefix), 1, timeout=30, folder=tmp_path).stop()
        assert not region.exists()
        assert others.exists()
    finally:
        others.unlink()


PARENT = """
import os, pathlib, sys, threading, time
sys.path.insert(0, {here!r})
from test_server_process import launch
from pytest_gpuperf.serving.server_process import started
servers = []
folder = pathlib.Path(sys.argv[1])
# A thread that ends: a signal at its death must not reach the server.
starter = threading.Thread(target=lambda: servers.append(started(lambda p: launch(p[0]), 1, timeout=30, folder=folder)))
starter.start(); starter.join(); time.sleep(0.3)
assert servers[0].alive()
print(servers[0].pid, servers[0].log_tail().split()[1], flush=True)
time.sleep(600)
"""


def test_a_killed_parent_takes_its_server_along(tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(here=str(Path(__file__).parent)), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 2
    assert all(running(pid) for pid in pids)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert all(gone(pid) for pid in pids)
