"""Requests that wait together run together: the queue between a server's front end and its model's instances."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Batching:
    """When a batch is full enough, as Triton means it."""

    largest: int
    preferred: Sequence[int] = ()  # none: every request runs by itself
    delay: float = 0.0  # seconds the oldest request waits for a preferred batch

    def take(self, sizes: Sequence[int], waited: float) -> int:
        """How many of the waiting requests, oldest first, run now; 0: wait on."""
        if not sizes:
            return 0
        if not self.preferred:
            return 1
        rows, fits, best = 0, 0, 0
        for count, size in enumerate(sizes, start=1):
            rows += size
            if rows > self.largest:
                break
            fits = count
            if rows in self.preferred:
                best = count
        if best:
            return best
        # Full: no later request makes it a preferred batch.
        return max(fits, 1) if waited >= self.delay or fits < len(sizes) else 0


@dataclass(frozen=True)
class Waiting(Generic[A, B]):
    """One request in the queue."""

    asked: A
    size: int
    since: int  # nanoseconds
    answer: Future[B] = field(default_factory=Future[B])


Run = Callable[[Sequence[Waiting[A, B]], int], None]  # the requests, and when they left the queue; sets their answers


class Queue(Generic[A, B]):
    """Hands waiting requests to instances, each a thread of its own."""

    def __init__(self, batching: Batching, instances: Sequence[Run[A, B]]) -> None:
        self._batching = batching
        self._waiting: deque[Waiting[A, B]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [threading.Thread(target=self._serve, args=[run], daemon=True) for run in instances]
        for thread in self._threads:
            thread.start()

    @property
    def pending(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    def put(self, asked: A, size: int) -> Future[B]:
        """Queue a request of so many items."""
        one: Waiting[A, B] = Waiting(asked, size, time.perf_counter_ns())
        with self._changed:
            self._waiting.append(one)
            self._changed.notify()
        return one.answer

    def close(self) -> None:
        """Answer what waits, then end the instances."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _serve(self, run: Run[A, B]) -> None:
        while batch := self._next():
            left = time.perf_counter_ns()
            try:
                run(batch, left)
            except Exception as error:  # noqa: BLE001 - a failed batch is its clients' answer, not the server's end
                for one in batch:
                    if not one.answer.done():
                        one.answer.set_exception(error)

    def _next(self) -> list[Waiting[A, B]]:
        """The next batch; empty when the queue was closed and nothing waits."""
        with self._changed:
            while True:
                waited = (time.perf_counter_ns() - self._waiting[0].since) / 1e9 if self._waiting else 0.0
                count = self._batching.take([one.size for one in self._waiting], waited)
                if not count and self._closed:
                    count = min(len(self._waiting), 1)
                    if not count:
                        return []
                if count:
                    batch = [self._waiting.popleft() for _ in range(count)]
                    if self._waiting:
                        self._changed.notify()  # another instance may take the rest
                    return batch
                self._changed.wait(self._batching.delay - waited if self._waiting else None)
