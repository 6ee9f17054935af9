"""The load generator's processes, as those who start them see them: they send rows, and no process is left behind."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, perf_counter_ns
from typing import IO

import msgspec
import numpy as np
from numpy.typing import NDArray

from pytest_gpuperf.errors import MeasurementError
from pytest_gpuperf.serving import frames
from pytest_gpuperf.serving.worker import ROW, TICK, LoadOrder, Message

Rows = NDArray[np.int64]

_AHEAD = 20_000_000  # nanoseconds between "go" and the first request: all processes have read it by then
_START = 60.0  # seconds a process may take to be ready
_DRAIN = 5.0  # seconds beyond the requests' time-out that the last answers may take
_EXIT = 2.0  # seconds that a process may take to end by itself after its last message
_LAST_LINES = 15


@dataclass
class Worker:
    """One process, and what it has reported."""

    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    unpacking: frames.Unpacking = field(default_factory=frames.Unpacking)
    rows: list[Rows] = field(default_factory=list[Rows])
    ticks: list[Rows] = field(default_factory=list[Rows])
    details: list[bytes] = field(default_factory=list[bytes])  # of each row, where the load keeps them
    messages: list[Message] = field(default_factory=list[Message])
    ready: bool = False
    ended: bool = False

    @property
    def now(self) -> int:
        """The moment until which all its rows are here, on the clock of its rows."""
        return int(self.ticks[-1][0]) if self.ticks else 0

    def take(self, part: bytes) -> None:
        """Take in what came out of its pipe."""
        for kind, payload in self.unpacking.feed(part):
            if kind == "rows":
                figures = np.frombuffer(payload, dtype=np.int64)
                self.ticks.append(figures[: len(TICK)])
                self.rows.append(figures[len(TICK) :].reshape(-1, len(ROW)))
            elif kind == "details":
                self.details.append(payload)
            elif kind == "message":
                self.messages.append(msgspec.json.decode(payload, type=Message))
            self.ready |= kind == "ready"
            self.ended |= kind == "end"


class Workers:
    """All of them, started together."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers
        self._selector = selectors.DefaultSelector()
        for worker in workers:
            assert worker.process.stdout is not None
            self._selector.register(worker.process.stdout, selectors.EVENT_READ, worker)

    def go(self) -> int:
        """Let the load begin, when every process is ready; gives when, in nanoseconds."""
        deadline = monotonic() + _START
        while not all(w.ready for w in self._workers):
            self.listen(0.5)
            if monotonic() > deadline:
                raise MeasurementError(
                    f"The load generator's processes were not ready within {_START:.0f} s: the machine is too busy to "
                    f"start them. End other work, or use fewer: gpuperf_load(..., processes=1)."
                )
        start = perf_counter_ns() + _AHEAD
        for worker in self._workers:
            assert worker.process.stdin is not None
            frames.write(worker.process.stdin.fileno(), "go", start.to_bytes(8, "little"))
        return start

    def listen(self, timeout: float) -> None:
        """Take in what they report, waiting at most so long for it."""
        for key, _ in self._selector.select(timeout):
            worker: Worker = key.data
            part = os.read(key.fd, 1 << 20)
            if part:
                worker.take(part)
                continue
            self._selector.unregister(key.fileobj)
            if not worker.ended:
                raise MeasurementError(_death(worker))

    def stop(self, timeout: float) -> None:
        """Send no more requests, and wait for the answers that are still due."""
        for worker in self._workers:
            assert worker.process.stdin is not None
            worker.process.stdin.close()
        deadline = monotonic() + timeout + _DRAIN
        while not all(w.ended for w in self._workers):
            self.listen(0.5)
            if monotonic() > deadline:
                raise MeasurementError(
                    f"The load generator still waits for answers {timeout + _DRAIN:.0f} s after its last request: the "
                    f"server hangs. Read its log, or give answers up sooner: gpuperf_load(..., timeout=5)."
                )

    @property
    def now(self) -> int:
        """The moment until which all rows are here, in nanoseconds."""
        return min(w.now for w in self._workers)

    @property
    def rows(self) -> Rows:
        """Every request so far, by when it was done."""
        every = self._unordered()
        return every[_by_time(every)]

    @property
    def rows_and_details(self) -> tuple[Rows, list[bytes]]:
        """The same, with the details of each."""
        every, details = self._unordered(), [d for w in self._workers for d in w.details[: sum(map(len, w.rows))]]
        order = _by_time(every)
        return every[order], [details[i] for i in order]

    def _unordered(self) -> Rows:
        parts = [part for w in self._workers for part in w.rows]
        return np.concatenate(parts) if parts else np.empty((0, len(ROW)), np.int64)

    @property
    def ticks(self) -> list[Rows]:
        """Of each process: processor time and waiting time as they went on."""
        return [np.array(w.ticks, dtype=np.int64).reshape(-1, len(TICK)) for w in self._workers]

    @property
    def messages(self) -> list[Message]:
        """The first of each kind of fault, from each process."""
        return [m for w in self._workers for m in w.messages]

    def close(self) -> None:
        """End every process, whatever happened."""
        self._selector.close()
        for worker in self._workers:
            try:
                worker.process.wait(_EXIT if worker.ended else 0)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            for pipe in (worker.process.stdin, worker.process.stdout, worker.errors):
                if pipe is not None:
                    pipe.close()


def _by_time(rows: Rows) -> NDArray[np.intp]:
    return np.argsort(rows[:, ROW.index("done")], kind="stable")


@contextmanager
def started(orders: Sequence[LoadOrder], asking: Sequence[bytes], module: str) -> Generator[Workers]:
    """Processes that are ready to obey, each of that module and with its own of `asking`; all are gone afterwards."""
    begun: list[Worker] = []
    workers: Workers | None = None
    try:
        for order, asked in zip(orders, asking, strict=True):
            begun.append(_begin(module))
            stdin = begun[-1].process.stdin
            assert stdin is not None
            frames.write(stdin.fileno(), "order", msgspec.json.encode(order))
            frames.write(stdin.fileno(), "asking", asked)
        workers = Workers(begun)
        yield workers
    finally:
        (workers or Workers(begun)).close()


def _begin(module: str) -> Worker:
    errors = os.fdopen(os.memfd_create("gpuperf-load"), "w+b")
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", module],  # -P: no file of the folder we are in passes for a library
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        bufsize=0,
        start_new_session=True,  # Ctrl-C is for whoever started it, who then ends it
    )
    return Worker(process, errors)


def _death(worker: Worker) -> str:
    code = worker.process.wait()
    worker.errors.seek(0)
    lines = worker.errors.read().decode(errors="replace").rstrip().splitlines()[-_LAST_LINES:]
    tail = "".join(f"\n    {line}" for line in lines)
    memory = " Too little memory is the usual cause: dmesg | tail" if code == -signal.SIGKILL else ""
    return f"A process of the load generator ended with code {code} before the load did.{memory}{tail}"
