"""Requests that wait together run together: the queue before a model's instances, and what a server counts of it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")
PHASES = ("compute_input", "compute_infer", "compute_output")


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


Json = Mapping[str, Any]


@dataclass(frozen=True)
class Executed:
    """One batch that ran; nanoseconds of its phases, and of each request's wait and whole stay."""

    rows: int
    phases: tuple[int, int, int]
    queued: Sequence[int]
    stayed: Sequence[int]


@dataclass
class _Sum:
    count: int = 0
    ns: int = 0

    def add(self, ns: int, count: int = 1) -> None:
        self.count += count
        self.ns += ns * count

    def shown(self) -> Json:
        return {"count": self.count, "ns": self.ns}


def _sums(names: Sequence[str]) -> dict[str, _Sum]:
    return {name: _Sum() for name in names}


@dataclass
class Tally:
    """Counts since the server started."""

    model: str
    inferences: int = 0
    executions: int = 0
    last: int = 0  # milliseconds since the epoch
    _sums: dict[str, _Sum] = field(default_factory=lambda: _sums(["success", "fail", "queue", *PHASES]))
    _batches: dict[int, dict[str, _Sum]] = field(default_factory=dict[int, dict[str, _Sum]])
    _front: dict[str, _Sum] = field(default_factory=lambda: _sums(["decode", "encode"]))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def executed(self, done: Executed, now: int) -> None:
        """Count a batch that has run. As in Triton each of its requests counts the whole batch's phases."""
        requests = len(done.queued)
        with self._lock:
            self.inferences += done.rows
            self.executions += 1
            self.last = now
            for queued, stayed in zip(done.queued, done.stayed, strict=True):
                self._sums["queue"].add(queued)
                self._sums["success"].add(stayed)
            by_size = self._batches.setdefault(done.rows, _sums(PHASES))
            for phase, ns in zip(PHASES, done.phases, strict=True):
                self._sums[phase].add(ns, requests)
                by_size[phase].add(ns)

    def failed(self, ns: int) -> None:
        """Count a request that was answered with an error."""
        with self._lock:
            self._sums["fail"].add(ns)

    def front_end(self, what: str, ns: int) -> None:
        """Count the time of reading a request or writing an answer, which a server's own counts usually leave out."""
        with self._lock:
            self._front[what].add(ns)

    def statistics(self) -> Json:
        """As Triton's ``/v2/models/M/stats``."""
        with self._lock:
            sizes = sorted(self._batches)
            return {
                "model_stats": [
                    {
                        "name": self.model,
                        "version": "1",
                        "last_inference": self.last,
                        "inference_count": self.inferences,
                        "execution_count": self.executions,
                        "inference_stats": {name: total.shown() for name, total in self._sums.items()},
                        "batch_stats": [
                            {"batch_size": size} | {name: t.shown() for name, t in self._batches[size].items()}
                            for size in sizes
                        ],
                    }
                ]
            }

    def prometheus(self, pending: int, gauges: Mapping[str, Mapping[str, float]]) -> str:
        """As Triton's ``/metrics``; gauges are values by labels, by name."""
        label = f'{{model="{self.model}",version="1"}}'
        with self._lock:
            total = self._sums
            counters = {
                "nv_inference_request_success": total["success"].count,
                "nv_inference_request_failure": total["fail"].count,
                "nv_inference_count": self.inferences,
                "nv_inference_exec_count": self.executions,
                "nv_inference_request_duration_us": total["success"].ns // 1000,
                "nv_inference_queue_duration_us": total["queue"].ns // 1000,
                **{f"nv_inference_{phase}_duration_us": total[phase].ns // 1000 for phase in PHASES},
                **{f"gpuperf_{what}_duration_us": held.ns // 1000 for what, held in self._front.items()},
            }
        lines = [
            line for name, value in counters.items() for line in (f"# TYPE {name} counter", f"{name}{label} {value}")
        ]
        lines += ["# TYPE nv_inference_pending_request_count gauge"]
        lines += [f"nv_inference_pending_request_count{label} {pending}"]
        for name, values in gauges.items():
            lines += [f"# TYPE {name} gauge", *(f"{name}{labels} {value}" for labels, value in values.items())]
        return "\n".join(lines) + "\n"
