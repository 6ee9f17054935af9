"""One process of the load generator: a loop over its connections, and nothing else in the interpreter.

It imports nothing heavy, and whoever started it ends it by closing its standard input, or by dying. What it asks, and
how answers are read, is `asking.py`'s here, and `text/served/asking.py`'s for language models.
"""

from __future__ import annotations

import gc
import os
import select
from array import array
from collections import deque
from collections.abc import Callable
from time import perf_counter_ns, process_time_ns
from typing import NamedTuple, get_args

import msgspec
from msgspec import Struct

from pytest_gpuperf.serving import frames
from pytest_gpuperf.serving.connection import Ask, Connection, Incoming, resolve
from pytest_gpuperf.serving.faults import Fault
from pytest_gpuperf.serving.pacing import NEVER, Due, Pace, Schedule, schedule

FAULTS: tuple[Fault, ...] = get_args(Fault)
ROW = ("due", "sent", "written", "answered", "done", "outcome", "held")  # nanoseconds; outcome: 0, or 1 + its fault
TICK = ("now", "processor", "waited", "in_flight")  # before the rows of a frame

_IN, _OUT = 0, 1  # standard streams
_EVERY = 50_000_000  # nanoseconds between two reports
_ROWS = 512  # reported earlier when there are so many
_REST = 50_000_000  # nanoseconds before a connection that failed is used again
_COARSE = 2_000_000  # epoll waits whole milliseconds: the last two are waited for with select


class LoadOrder(Struct, frozen=True):
    """What one process is to do."""

    host: str
    port: int
    connections: int
    pace: Pace
    timeout: float  # seconds until an answer is given up
    secure: bool = False  # TLS


class Message(Struct, frozen=True):
    """The first fault of its kind, in words."""

    fault: Fault
    text: str


class Exchanged(NamedTuple):
    """A request that is over: its answer is whole (None: it never will be)."""

    due: Due
    sent: int
    written: int
    answered: int
    done: int
    answer: Incoming | None
    fault: Fault | None = None  # where its connection broke
    text: str = ""


Details = Callable[[Incoming | None], bytes | None]  # of an answer, beside its row: for whoever asked for the load


class Loop:
    """Keeps requests in flight until its standard input ends."""

    def __init__(self, order: LoadOrder, ask: Ask, details: Details | None) -> None:
        address = resolve(order.host, order.port, secure=order.secure)
        self._timeout = int(order.timeout * 1e9)
        self._details = details
        self._poll = select.epoll()
        self._idle = [Connection(address, ask) for _ in range(order.connections)]
        self._busy: dict[int, Connection] = {}  # by file descriptor
        self._resting: list[tuple[int, Connection]] = []  # until when
        self._unread: deque[Exchanged] = deque()  # whoever waits for the loop comes before what is over
        self._rows = array("q")
        self._waited = 0  # nanoseconds in which there was nothing to do
        self._reported = self._checked = 0
        self._known_faults: set[Fault] = set()
        self._stopping = False

    def run(self, arrivals: Schedule) -> None:
        """Run until standard input ends and the last answer has come, or is given up."""
        self._poll.register(_IN, select.EPOLLIN)
        while True:
            now = perf_counter_ns()
            coming = NEVER if self._stopping else self._start(arrivals, now)
            self._report(now)
            if self._stopping and not self._busy:
                break
            for fd, _ in self._wait(now, coming):
                if fd == _IN:
                    self._poll.unregister(_IN)
                    self._stopping = True
                elif fd in self._busy:
                    self._proceed(self._busy[fd], fd)
                else:
                    self._left(fd)
            self._give_up(perf_counter_ns())
        self._report(perf_counter_ns() + _EVERY)

    def _start(self, arrivals: Schedule, now: int) -> int:
        while self._resting and self._resting[0][0] <= now:
            self._idle.append(self._resting.pop(0)[1])
        coming = arrivals.advance(now, len(self._idle))
        while self._idle:
            due = arrivals.take(now)
            if due is None:
                return coming
            self._begin(self._idle.pop(), due)
            now = perf_counter_ns()
        return coming

    def _begin(self, connection: Connection, due: Due) -> None:
        now = perf_counter_ns()
        try:
            fresh = connection.open()
            connection.begin(due, now)
        except OSError as error:
            self._failed(connection, error)
            return
        assert connection.socket is not None
        fd = connection.socket.fileno()
        self._busy[fd] = connection
        wanted = select.EPOLLIN | (select.EPOLLOUT if connection.wants_to_write else 0)
        if fresh:
            self._poll.register(fd, wanted)
        elif connection.wants_to_write:
            self._poll.modify(fd, wanted)

    def _proceed(self, connection: Connection, fd: int) -> None:
        writing = connection.wants_to_write
        try:
            whole = connection.proceed()
        except (OSError, ValueError) as error:
            del self._busy[fd]
            self._failed(connection, error)
            return
        if whole:
            del self._busy[fd]
            c = connection
            assert c.answer is not None
            self._unread.append(Exchanged(c.due, c.sent, c.written, c.answered, perf_counter_ns(), c.answer))
            if c.answer.closes:
                c.close()
            self._idle.append(c)
        if writing != connection.wants_to_write and connection.socket is not None:
            self._poll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if connection.wants_to_write else 0))

    def _left(self, fd: int) -> None:
        """The server closed a connection that was idle: the next request makes another one."""
        for connection in self._idle:
            if connection.socket is not None and connection.socket.fileno() == fd:
                connection.close()

    def _failed(self, connection: Connection, error: OSError | ValueError) -> None:
        """Let the connection rest: a server that is away must not be asked a million times."""
        c, now = connection, perf_counter_ns()
        fault = c.broke(error)
        self._unread.append(Exchanged(c.due, c.sent, c.written, c.answered, now, None, fault, c.fault_text))
        self._resting.append((now + _REST, connection))

    def _read_one(self) -> None:
        """Look at the answer of the request that was over first, and note it."""
        it = self._unread.popleft()
        fault = it.answer.fault() if it.answer is not None else it.fault
        outcome = 0 if fault is None else 1 + FAULTS.index(fault)
        self._rows.extend((it.due.at, it.sent, it.written, it.answered, it.done, outcome, int(it.due.held)))
        if self._details is not None:
            frames.write(_OUT, "details", self._details(it.answer if fault is None else None) or b"")
        if fault is not None and fault not in self._known_faults:
            self._known_faults.add(fault)
            text = it.text if it.answer is None else it.answer.message()
            frames.write(_OUT, "message", msgspec.json.encode(Message(fault, text)))

    def _wait(self, now: int, coming: int) -> list[tuple[int, int]]:
        """What has happened; meanwhile what is over is read, as long as nothing happens."""
        while self._unread:
            events = self._poll.poll(0)
            if events:
                return events
            self._read_one()
            if coming <= perf_counter_ns():
                return []
        now = perf_counter_ns()
        until = min(coming, self._reported + _EVERY, *(when for when, _ in self._resting[:1]))
        left = max(until - now, 0)
        if left >= _COARSE:
            events = self._poll.poll(left / 1e9 - 0.001)
        else:
            if left:
                select.select([self._poll], [], [], left / 1e9)
            events = self._poll.poll(0)
        self._waited += perf_counter_ns() - now
        return events

    def _give_up(self, now: int) -> None:
        if now - self._checked < _EVERY:
            return
        self._checked = now
        for fd, connection in list(self._busy.items()):
            if now - connection.sent > self._timeout:
                del self._busy[fd]
                self._failed(connection, TimeoutError(f"no whole answer within {self._timeout / 1e9:g} s"))

    def _report(self, now: int) -> None:
        if now - self._reported < _EVERY and len(self._rows) < _ROWS * len(ROW):
            return
        while self._unread:  # all rows until now are to be here
            self._read_one()
        self._reported = now
        tick = array("q", (now, process_time_ns(), self._waited, len(self._busy)))
        frames.write(_OUT, "rows", (tick + self._rows).tobytes())
        del self._rows[:]


def obey(asking: Callable[[bytes], tuple[Ask, Details | None]]) -> None:
    """Obey one order; `asking` makes of its second frame what is asked and what is kept of each answer."""
    first, second = frames.read(_IN), frames.read(_IN)
    if first is None or second is None:
        return
    order = msgspec.json.decode(first[1], type=LoadOrder)
    loop = Loop(order, *asking(second[1]))
    frames.write(_OUT, "ready")
    go = frames.read(_IN)
    if go is None:
        return
    gc.disable()  # a collection would be the client's delay
    try:
        loop.run(schedule(order.pace, int.from_bytes(go[1], "little")))
        frames.write(_OUT, "end")
    except BrokenPipeError:  # whoever reads the other end is gone
        os._exit(0)
