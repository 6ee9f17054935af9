"""The pipeline while it runs: its source, its workers, the queues between them, and what comes out at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from threading import Event, Thread
from time import monotonic, perf_counter, thread_time
from typing import Any

from pytest_gpuperf.errors import MeasurementError, WorkloadError
from pytest_gpuperf.measure.quiet import unwatched
from pytest_gpuperf.pipeline.buffer import Buffer, Passed, StoppedError
from pytest_gpuperf.pipeline.stage import Items, PipelineStage
from pytest_gpuperf.pipeline.worker_process import AHEAD
from pytest_gpuperf.pipeline.workers import Inbox, Outbox, ProcessWorker, StageWorker, Timeline, worker_of
from pytest_gpuperf.records.pipeline import SOURCE
from pytest_gpuperf.records.units import format_seconds

_LOOK = 0.02  # seconds between two looks at how it goes
_GRACE = 2.0  # seconds that threads may take to end once nothing holds them up
_STAYS = (
    " Its thread cannot be ended from outside: it stays until the function returns, and may slow what is measured "
    'after it. A stage with where="process" is ended.'
)


@dataclass
class Finished:
    """What came out: when the source had given it, and when it was done."""

    times: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    def put(self, item: Passed) -> None:
        """Note an item, as soon as the last work on it is over."""
        if item.ready is not None:
            item.ready.synchronize()
        self.times.append((item.given, perf_counter()))

    def end(self, number: int) -> None:
        """Nothing follows that needs to know."""


class Line:
    """One pipeline. Whatever happens in it, `close` leaves no process, and no thread that can be ended."""

    def __init__(self, stages: Sequence[PipelineStage], source: Iterable[Any], depth: int, timeout: float) -> None:
        self.stages = stages
        self.items = Items(source)
        self.workers: list[list[StageWorker]] = []
        self.buffers: list[Buffer] = []
        self.finished = Finished()
        self.source = Timeline()
        self.source_ended: float | None = None  # when it ended by itself
        self.number = 0  # of the next item
        self._depth = depth
        self._timeout = timeout
        self._threads: list[Thread] = []
        self._failure: BaseException | None = None
        self._changed = Event()
        self._enough = Event()

    @property
    def capacity(self) -> int:
        """Items that are in it when every queue is full."""
        inside = sum(s.workers * (1 + AHEAD if s.where == "process" else 1) for s in self.stages)
        return inside + self._depth * len(self.stages) + 1

    def open(self) -> None:
        """Start every worker process, all at once, and wait until they are ready."""
        for stage in self.stages:
            self.workers.append([])
            for _ in range(stage.workers):
                self.workers[-1].append(worker_of(stage))
        for worker in self._processes():
            worker.process.wait_until_ready()

    def begin_anew(self) -> None:
        """Forget what was measured so far."""
        for workers in self.workers:
            for worker in workers:
                worker.timeline = Timeline()
        self.source = Timeline()
        self.finished = Finished()

    def settle(self) -> None:
        """Fill in what was not known while it ran."""
        for workers in self.workers:
            for worker in workers:
                worker.settle()

    def run_alone(self, is_enough: Callable[[], bool]) -> None:
        """One item after the other, and each through one stage after the other, in one thread."""

        def work() -> None:
            while not (self._enough.is_set() or is_enough()):
                item = self._next_item()
                if item is None:
                    return
                for first, *_ in self.workers:
                    item = first.alone(item)
                self.finished.put(item)

        self._start("alone", work)
        self._oversee(lambda: False)

    def run_together(self, look: Callable[[], bool]) -> None:
        """All stages at once, until `look`, which is asked again and again, says that it is enough."""
        count = len(self.stages) + (self.stages[-1].where == "stream")
        self.buffers = [Buffer(self._depth, self.number) for _ in range(count)]
        outboxes: list[Outbox] = [*self.buffers[1:], self.finished]
        for stage, workers, inbox, outbox in zip(self.stages, self.workers, self.buffers, outboxes, strict=False):
            for worker in workers:
                self._start(stage.name, _working(worker.work, inbox, outbox))
        if count > len(self.stages):  # pragma: no cover - needs a GPU
            self._start("results", _working(_collect, self.buffers[-1], self.finished))
        self._start(SOURCE, self._give)
        self._oversee(look)

    def close(self) -> None:
        """End everything. A thread whose function does not return stays: nobody can end it from outside."""
        self._enough.set()
        for buffer in self.buffers:
            buffer.stop()
        if any(thread.is_alive() for thread in self._threads):
            for worker in self._processes():
                worker.process.kill()
        deadline = monotonic() + _GRACE
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))
        for worker in self._processes():
            worker.process.close()

    def _processes(self) -> list[ProcessWorker]:
        return [worker for workers in self.workers for worker in workers if isinstance(worker, ProcessWorker)]

    def _next_item(self) -> Passed | None:
        """The source's next item; None where it has ended."""
        timeline, number = self.source, self.number
        timeline.number = number
        worked = thread_time()
        timeline.since = begin = perf_counter()
        try:
            value: Any = next(self.items)
        except StopIteration:
            timeline.since = None
            self.source_ended = perf_counter()
            return None
        except Exception as error:
            raise WorkloadError(f"The source raised {type(error).__name__} at item {number}: {error}") from error
        end = perf_counter()
        timeline.since = None
        timeline.cpu.append(thread_time() - worked)
        timeline.busy.extend((begin, end))
        self.number += 1
        return Passed(number, end, value)

    def _give(self) -> None:
        first, timeline = self.buffers[0], self.source
        while not self._enough.is_set():
            item = self._next_item()
            if item is None:
                break
            first.put(item)
            timeline.room.extend((item.given, perf_counter()))
        first.end(self.number)

    def _start(self, name: str, work: Callable[[], None]) -> None:
        def guarded() -> None:
            sys.settrace(None)  # a tracer would slow down what is timed; whoever started us took it off there
            sys.setprofile(None)
            try:
                work()
            except StoppedError:
                pass
            except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for the pipeline
                self._failure = self._failure or error
            finally:
                self._changed.set()

        thread = Thread(target=guarded, name=f"gpuperf pipeline: {name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _oversee(self, look: Callable[[], bool]) -> None:
        """Wait until all threads have ended; give up where one of them failed, or takes too long over one item."""
        with unwatched():
            while any(thread.is_alive() for thread in self._threads):
                self._changed.wait(_LOOK)
                self._changed.clear()
                self._raise_failure()
                self._refuse_blocked()
                if not self._enough.is_set() and look():
                    self._enough.set()
        self._raise_failure()
        self._threads.clear()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _refuse_blocked(self) -> None:
        now = perf_counter()
        if _is_blocked(self.source, now, self._timeout):
            raise MeasurementError(
                f"The source gave nothing for {format_seconds(self._timeout)}, after {self.source.number} items. It "
                f"waits for something that does not come, or needs more time: timeout={2 * self._timeout:g}."
            )
        for stage, workers in zip(self.stages, self.workers, strict=True):
            for worker in workers:
                if _is_blocked(worker.timeline, now, self._timeout):
                    raise MeasurementError(
                        f"Stage {stage.name!r} has been at item {worker.timeline.number} for "
                        f"{format_seconds(self._timeout)}. It waits for something that does not come, or needs more "
                        f"time: timeout={2 * self._timeout:g}.{'' if stage.where == 'process' else _STAYS}"
                    )


def _working(work: Callable[[Inbox, Outbox], None], inbox: Buffer, outbox: Outbox) -> Callable[[], None]:
    """What one worker's thread does; the first of a stage that finds no more items passes that on."""

    def until_the_end() -> None:
        work(inbox, outbox)
        assert inbox.last is not None
        outbox.end(inbox.last)

    return until_the_end


def _collect(inbox: Inbox, outbox: Outbox) -> None:  # pragma: no cover - needs a GPU
    """Wait for the results of a last stage on a stream, so that its own thread can launch the next."""
    while (item := inbox.get()) is not None:
        outbox.put(item)


def _is_blocked(timeline: Timeline, now: float, timeout: float) -> bool:
    since = timeline.since
    return since is not None and now - since > timeout
