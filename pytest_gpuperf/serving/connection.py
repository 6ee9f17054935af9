"""One keep-alive connection that never blocks, and the one exchange that is going on in it."""

from __future__ import annotations

import errno
import os
import socket
from time import perf_counter_ns

from pytest_gpuperf.serving.exchange import Answer, Expected
from pytest_gpuperf.serving.faults import Fault, fault_of
from pytest_gpuperf.serving.pacing import Due

_PART = 1 << 18  # bytes read at once
_buffer = memoryview(bytearray(_PART))  # shared: a process has one loop, which looks at each part before it reads on

Address = tuple[int, tuple[str | int | bytes, ...]]  # family, and what connect() takes


def resolve(host: str, port: int) -> Address:
    """Where to connect, looked up once."""
    family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return family, where


class Connection:
    """States: closed, connecting, idle, sending (and already receiving), receiving."""

    def __init__(self, address: Address, request: bytes, expected: Expected) -> None:
        self._address = address
        self._request = memoryview(request)
        self._expected = expected
        self._answer = Answer(expected, bytearray())
        self._written = 0  # bytes
        self._connecting = False
        self.socket: socket.socket | None = None
        self.due = Due(0)
        self.sent = self.written = self.answered = 0  # nanoseconds; 0: not yet
        self.fault_text: str | None = None  # the last fault, for a person

    @property
    def wants_to_write(self) -> bool:
        """Whether it waits until the system takes more bytes."""
        return self._connecting or self._written < len(self._request)

    def open(self) -> bool:
        """Begin to connect; False where a connection stands already."""
        if self.socket is not None:
            return False
        family, where = self._address
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = self.socket.connect_ex(where)
        if code not in {0, errno.EINPROGRESS}:
            raise OSError(code, os.strerror(code))
        self._connecting = code != 0
        return True

    def begin(self, due: Due, now: int) -> None:
        """Send the request for one that is due."""
        self.due, self.sent, self.written, self.answered = due, now, 0, 0
        self._written = 0
        self._answer = Answer(self._expected, bytearray())
        if self.socket is not None and not self._connecting:
            self._write(self.socket)

    def proceed(self) -> bool:
        """Do what can be done now; True when the answer is whole. Trouble is raised as OSError or ValueError."""
        if self.socket is None:
            return False
        if self._connecting:
            code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
            self._connecting = False
        if self._written < len(self._request):
            self._write(self.socket)
        return self._read(self.socket)

    def outcome(self) -> Fault | None:
        """The fault of a whole answer; None where it is right."""
        fault = self._answer.fault()
        self.fault_text = None if fault is None else self._answer.message()
        return fault

    @property
    def spent(self) -> bool:
        """Whether the server closes the connection after this answer."""
        return self._answer.closes

    @property
    def bytes_received(self) -> int:
        """Of the last answer."""
        return self._answer.received

    def broke(self, error: OSError | ValueError) -> Fault:
        """Close a connection that broke, and return the fault."""
        self.close()
        self.fault_text = str(error)
        return "unreadable" if isinstance(error, ValueError) else fault_of(error)

    def close(self) -> None:
        """The next request connects anew."""
        if self.socket is not None:
            self.socket.close()
        self.socket = None
        self._connecting = False

    def _write(self, to: socket.socket) -> None:
        try:
            while self._written < len(self._request):
                self._written += to.send(self._request[self._written :])
        except BlockingIOError:
            return
        self.written = perf_counter_ns()

    def _read(self, source: socket.socket) -> bool:
        while True:
            try:
                count = source.recv_into(_buffer)
            except BlockingIOError:
                return False
            if count == 0:
                raise ConnectionResetError("the server closed the connection")
            if not self.answered:
                self.answered = perf_counter_ns()
            if self._answer.feed(_buffer[:count]):
                return True
