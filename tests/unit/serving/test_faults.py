"""What goes wrong between a client and a server is told apart by what tritonclient really raises."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import contextmanager

import numpy as np
import pytest
import tritonclient.http as client

from pytest_gpuperf.errors import MeasurementError, ServerError
from pytest_gpuperf.serving.exchange import exchange
from pytest_gpuperf.serving.faults import WrongAnswerError, check_answer, failure, fault_of
from pytest_gpuperf.serving.proof import Look, look
from pytest_gpuperf.serving.server import Server
from pytest_gpuperf.serving.statistics import counters


@contextmanager
def peer(talk: Callable[[socket.socket], object]):
    """A server that does this with every connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    talk(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def raised_by(url: str, timeout: float = 30.0) -> Exception:
    with client.InferenceServerClient(url, network_timeout=timeout, connection_timeout=timeout) as connection:
        tensor = client.InferInput("x", [1], "FP32")
        tensor.set_data_from_numpy(np.zeros(1, np.float32))
        with pytest.raises(Exception) as raised:  # noqa: PT011 - whatever the client raises
            connection.infer("m", [tensor])
    return raised.value


def says(answer: bytes) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    return talk


def http(status: str, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("talk", "fault"),
    [
        (says(http("500 Internal Server Error", b'{"error": "out of luck"}')), "status"),
        (says(http("503 Service Unavailable", b"not even JSON")), "status"),
        (says(b""), "disconnected"),
        (says(http("200 OK", b"{}", length=1000)), "disconnected"),
        (says(http("200 OK", b"<html>", length=6)), "unreadable"),
        (says(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "unreadable"),
    ],
)
def test_a_peer_that_misbehaves(talk, fault):
    with peer(talk) as url:
        assert fault_of(raised_by(url)) == fault


BROKEN_OFF = http("200 OK", b"{}", length=1000)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [(BROKEN_OFF, "disconnected"), (b"", "disconnected"), (b"220 smtp.example ready\r\n", "unreadable")],
)
def test_a_peer_that_misbehaves_at_a_single_exchange(answer, fault):
    with peer(says(answer)) as url, pytest.raises(Exception) as raised:  # noqa: PT011 - whatever it raises
        exchange(url, "/v2/models/m", timeout=30)
    assert fault_of(raised.value) == fault


def test_counters_and_proof_that_break_off_are_not_known():
    with peer(says(BROKEN_OFF)) as url:
        server = Server(name="x", kind="torch", url=url, model="m", metrics_url=f"http://{url}/metrics")
        assert counters(server) is None
        assert look(server) == Look()


def test_a_peer_that_hangs():
    done = threading.Event()
    with peer(lambda connection: done.wait(20)) as url:
        assert fault_of(raised_by(url, timeout=0.2)) == "timeout"
        done.set()


def test_a_port_where_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"127.0.0.1:{free.getsockname()[1]}"
    assert fault_of(raised_by(url)) == "refused"


def test_answers_that_are_not_the_model_s():
    check_answer("y", [2, 5], "FP32", ((2, 5), "FP32"))
    with pytest.raises(WrongAnswerError, match=r"output 'y' is \[2, 4\]; the model gives \[2, 5\]") as shape:
        check_answer("y", [2, 4], "FP32", ([2, 5], "FP32"))
    with pytest.raises(WrongAnswerError, match="output 'y' is FP16; the model gives FP32") as dtype:
        check_answer("y", [2, 5], "FP16", ([2, 5], "FP32"))
    assert (fault_of(shape.value), fault_of(dtype.value)) == ("wrong shape", "wrong dtype")


def test_what_is_known_of_nothing_is_other():
    assert fault_of(KeyError("x")) == "other"


SERVER = Server(name="torch", kind="torch", url="127.0.0.1:8000", model="m")


def test_one_error_says_what_why_and_what_next():
    error = failure(SERVER, "answering a request", ConnectionRefusedError(111, "Connection refused"))
    assert isinstance(error, ServerError)
    assert isinstance(error, MeasurementError), "it fails its own test"
    assert str(error) == (
        "The server 'torch' at 127.0.0.1:8000 failed answering a request: refused; nothing listens there "
        "([Errno 111] Connection refused). Start the server, or give the URL of one that runs as HOST:PORT."
    )
    assert "(TimeoutError)" in str(failure(SERVER, "answering", TimeoutError()))
