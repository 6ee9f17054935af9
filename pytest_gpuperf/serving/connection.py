"""One keep-alive connection that never blocks, and the one exchange that is going on in it."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Protocol

from pytest_gpuperf.serving.faults import Fault, fault_of
from pytest_gpuperf.serving.pacing import Due

_PART = 1 << 18  # bytes read at once
_buffer = memoryview(bytearray(_PART))  # shared: a process has one loop, which looks at each part before it reads on


class Incoming(Protocol):
    """An answer while it comes in."""

    @property
    def closes(self) -> bool:
        """Whether the server closes the connection after it."""
        ...

    def feed(self, part: memoryview, at: int) -> bool:
        """Take in what came at that time; True when the answer is whole. ValueError where it is no answer."""
        ...

    def ends_here(self) -> bool:
        """Whether it is whole now that the server closed the connection."""
        ...

    def fault(self) -> Fault | None:
        """What is wrong with a whole answer."""
        ...

    def message(self) -> str:
        """What stands in it, for a person."""
        ...


Ask = Callable[[], tuple[bytes, Incoming]]  # the next request, and what reads its answer


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect, looked up once."""

    family: int
    where: tuple[str | int | bytes, ...]  # what connect() takes
    host: str  # of its certificate
    tls: ssl.SSLContext | None = None


def resolve(host: str, port: int, *, secure: bool = False) -> Address:
    """Look a server up."""
    family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return Address(family, where, host, ssl.create_default_context() if secure else None)


class Connection:
    """States: closed, connecting, shaking hands (TLS), idle, sending (and already receiving), receiving."""

    def __init__(self, address: Address, ask: Ask) -> None:
        self._address = address
        self._ask = ask
        self._request = memoryview(b"")
        self._written = 0  # bytes
        self._connecting = self._shaking_hands = False
        self.socket: socket.socket | None = None
        self.answer: Incoming | None = None
        self.due = Due(0)
        self.sent = self.written = self.answered = 0  # nanoseconds; 0: not yet
        self.fault_text = ""  # of the connection that broke

    @property
    def wants_to_write(self) -> bool:
        """Whether it waits until the system takes more bytes."""
        return self._connecting or (not self._shaking_hands and self._written < len(self._request))

    def open(self) -> bool:
        """Begin to connect; False where a connection stands already."""
        if self.socket is not None:
            return False
        address = self._address
        self.socket = socket.socket(address.family, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = self.socket.connect_ex(address.where)
        if code not in {0, errno.EINPROGRESS}:
            raise OSError(code, os.strerror(code))
        self._connecting = code != 0 or address.tls is not None
        return True

    def begin(self, due: Due, now: int) -> None:
        """Send the request for one that is due."""
        self.due, self.sent, self.written, self.answered = due, now, 0, 0
        self._written = 0
        request, self.answer = self._ask()
        self._request = memoryview(request)
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
            if self._address.tls is not None:
                self.socket = self._address.tls.wrap_socket(
                    self.socket, server_hostname=self._address.host, do_handshake_on_connect=False
                )
                self._shaking_hands = True
        if self._shaking_hands and not self._shook_hands():
            return False
        if self._written < len(self._request):
            self._write(self.socket)
        return self._read(self.socket)

    def broke(self, error: OSError | ValueError) -> Fault:
        """Close a connection that broke, and return the fault."""
        self.close()
        self.fault_text = str(error)
        unreadable = isinstance(error, ValueError) and not isinstance(error, OSError)  # a refused certificate is both
        return "unreadable" if unreadable else fault_of(error)

    def close(self) -> None:
        """The next request connects anew."""
        if self.socket is not None:
            self.socket.close()
        self.socket = None
        self._connecting = self._shaking_hands = False

    def _shook_hands(self) -> bool:
        assert isinstance(self.socket, ssl.SSLSocket)
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self._shaking_hands = False
        return True

    def _write(self, to: socket.socket) -> None:
        try:
            while self._written < len(self._request):
                self._written += to.send(self._request[self._written :])
        except (BlockingIOError, ssl.SSLWantWriteError):
            return
        self.written = perf_counter_ns()

    def _read(self, source: socket.socket) -> bool:
        assert self.answer is not None
        while True:
            try:
                count = source.recv_into(_buffer)
            except (BlockingIOError, ssl.SSLWantReadError):
                return False
            now = perf_counter_ns()  # before anything is made of it
            if count == 0:
                if self.answer.ends_here():
                    self.close()
                    return True
                raise ConnectionResetError("the server closed the connection")
            if not self.answered:
                self.answered = now
            if self.answer.feed(_buffer[:count], now):
                return True
