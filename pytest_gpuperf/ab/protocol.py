"""What the controller and a measuring process say to each other: one JSON document a line, over a socket of their own.

    process                          controller
    Collected                  ->
                               <-    Tests          which, in this order
    Begins  (a test)           ->                   waits for the other side
                               <-    Go
    Arrived (a measurement)    ->                   the workload is loaded, nothing ran yet
                               <-    Go             a turn: first call, warm-up, one block
    Paused  (after a block)    ->
                               <-    Go | Enough    another block | end the measurement
    Measured | Dropped         ->                   waits until the other has measured too
                               <-    Go
    Ended   (a test)           ->
    Finished                   ->

A process runs between Go and its next message, and where it sets a test up or tears it down; never while the other has
its turn. Alone instead of Go: the other side does not measure this, so it is called once and not timed.
"""

from __future__ import annotations

import socket
import time

import msgspec

from pytest_gpuperf.records.model import Case, Environment, Session


class Collected(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The process is ready: what it would run, and where its code comes from."""

    tests: tuple[str, ...]
    errors: dict[str, str] = {}  # files that could not be collected -> why
    environment: Environment
    session: Session
    plugin: str  # where this package was imported from
    files: dict[str, str] = {}  # module -> file: what was imported of the code under test
    one_process: bool = False  # the card serves one process at a time


class Begins(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    test: str


class Arrived(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    case: str
    budget: float  # seconds


class Paused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    blocks: int


class Measured(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    case: Case


class Dropped(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A measurement that ended in an error, which the test gets."""

    case: str


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    test: str
    outcome: str  # "passed", "failed", "skipped"
    why: str = ""
    out_of_memory: bool = False


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    files: dict[str, str] = {}


class Tests(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    run: tuple[str, ...]


class Go(msgspec.Struct, frozen=True, tag=True):
    pass


class Enough(msgspec.Struct, frozen=True, tag=True):
    pass


class Alone(msgspec.Struct, frozen=True, tag=True):
    pass


FromWorker = Collected | Begins | Arrived | Paused | Measured | Dropped | Ended | Finished
ToWorker = Tests | Go | Enough | Alone


class Disconnected(Exception):  # noqa: N818 - not an error by itself: what it means, the reader says
    """The other end of a channel is closed."""


class Channel:
    """One end of the socket, for whole messages."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._rest = b""

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self, message: FromWorker | ToWorker) -> None:
        try:
            self._socket.settimeout(None)
            self._socket.sendall(msgspec.json.encode(message) + b"\n")
        except OSError as error:
            raise Disconnected from error

    def line(self, timeout: float | None = None) -> bytes | None:
        """The next message as text; None where it did not come in time."""
        end = None if timeout is None else time.monotonic() + timeout
        while b"\n" not in self._rest:
            try:
                self._socket.settimeout(None if end is None else max(end - time.monotonic(), 1e-3))
                got = self._socket.recv(1 << 16)
            except TimeoutError:
                return None
            except OSError as error:
                raise Disconnected from error
            if not got:
                raise Disconnected
            self._rest += got
        first, self._rest = self._rest.split(b"\n", 1)
        return first

    @property
    def ready(self) -> bool:
        """Whether a whole message was read already."""
        return b"\n" in self._rest


def receive(channel: Channel) -> ToWorker:
    """What the controller says next."""
    line = channel.line()
    return msgspec.json.decode(line or b"", type=ToWorker)


def decode(line: bytes) -> FromWorker:
    """The message that a process sent."""
    return msgspec.json.decode(line, type=FromWorker)
