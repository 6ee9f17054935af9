"""How a stage's workers call its function: in this thread, in a process, or on a CUDA stream; and when they did."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter, thread_time
from typing import Any, Protocol

from pytest_gpuperf.device.memory import is_out_of_memory, lost
from pytest_gpuperf.errors import MeasurementError, OutOfMemoryError, WorkloadError
from pytest_gpuperf.pipeline.buffer import Passed
from pytest_gpuperf.pipeline.stage import PipelineStage
from pytest_gpuperf.pipeline.worker_process import AHEAD, Answer, WorkerProcess


def _pairs() -> array[float]:
    return array("d")


@dataclass
class Timeline:
    """When one worker did what: beginnings and ends in turn, on the host's clock."""

    busy: array[float] = field(default_factory=_pairs)
    cpu: array[float] = field(default_factory=_pairs)  # seconds of each call
    input: array[float] = field(default_factory=_pairs)  # waiting for an item
    room: array[float] = field(default_factory=_pairs)  # waiting for room behind
    since: float | None = None  # when it began what it is at now, if that is to be over some time
    number: int = 0  # of the item that it is at, or was at last


class Inbox(Protocol):
    """Where items come from."""

    def get(self, *, wait: bool = True) -> Passed | None: ...


class Outbox(Protocol):
    """Where items go."""

    def put(self, item: Passed) -> None: ...

    def end(self, number: int) -> None: ...


class StageWorker(Protocol):
    """Runs one stage's function."""

    timeline: Timeline

    def alone(self, item: Passed) -> Passed:
        """Call it, and wait for the result."""
        ...

    def work(self, inbox: Inbox, outbox: Outbox) -> None:
        """Call it for each item, until there are no more."""
        ...

    def settle(self) -> None:
        """When all is over: fill in what was not known meanwhile."""
        ...


class StageError(WorkloadError):
    """A stage's function raised."""


def failed(stage: PipelineStage, number: int, error: BaseException | None, text: str) -> MeasurementError:
    """What to raise for it; where the stage runs in a process, `text` is the traceback."""
    what = f"{type(error).__name__}: {error}" if error is not None else text.rstrip().rpartition("\n")[2]
    kind, _, message = what.partition(": ")
    more = message and f": {message}"
    if kind == "StopIteration":
        more = (
            ". An iterator that it uses has ended: what goes into a stage has to come out of it, so use an iterator "
            "that lasts, or make it the source"
        )
    shown = "" if error is not None else f"\n{text.rstrip()}"
    failure = f"Stage {stage.name!r} raised {kind} at item {number}{more}{shown}"
    if error is None:
        return StageError(failure)
    if is_out_of_memory(error):
        return OutOfMemoryError(
            f"{failure}\nWhat waits in the queues takes memory too: a shallower queue=1, or less in an item."
        )
    return lost(error) or StageError(failure)


def through(stages: Sequence[PipelineStage], value: Any) -> Any:
    """One item through one stage after the other, in this thread."""
    item = Passed(0, 0.0, value)
    for stage in stages:
        item = ThreadWorker(stage).alone(item)
    return item.value


@dataclass
class ThreadWorker:
    """Calls the function in the thread that it is used in."""

    stage: PipelineStage
    timeline: Timeline = field(default_factory=Timeline)

    def alone(self, item: Passed) -> Passed:
        if item.ready is not None:
            item.ready.synchronize()
        return self._call(item)

    def work(self, inbox: Inbox, outbox: Outbox) -> None:
        timeline = self.timeline
        asked = perf_counter()
        while (item := inbox.get()) is not None:
            if item.ready is not None:
                timeline.since = perf_counter()
                item.ready.synchronize()
            done = self._call(item)
            begin, end = timeline.busy[-2:]
            timeline.input.extend((asked, begin))
            outbox.put(done)
            asked = perf_counter()
            timeline.room.extend((end, asked))

    def _call(self, item: Passed) -> Passed:
        timeline = self.timeline
        timeline.number = item.number
        worked = thread_time()
        timeline.since = begin = perf_counter()
        try:
            value = self.stage.fn(item.value)
        except Exception as error:
            raise failed(self.stage, item.number, error, "") from error
        end = perf_counter()
        timeline.since = None
        timeline.cpu.append(thread_time() - worked)
        timeline.busy.extend((begin, end))
        return Passed(item.number, item.given, value)

    def settle(self) -> None:
        """Everything is known."""


@dataclass
class ProcessWorker:
    """Has a process call the function; one more item is on its way there while it works."""

    stage: PipelineStage
    process: WorkerProcess
    timeline: Timeline = field(default_factory=Timeline)

    def alone(self, item: Passed) -> Passed:
        self._send(item)
        return self._receive(item)

    def work(self, inbox: Inbox, outbox: Outbox) -> None:
        timeline = self.timeline
        there: list[Passed] = []
        while True:
            if len(there) <= AHEAD:
                asked = perf_counter()
                item = inbox.get(wait=not there)
                if item is not None:
                    if not there:
                        timeline.input.extend((asked, perf_counter()))
                    self._send(item)
                    there.append(item)
                    continue
                if not there:
                    return
            done = self._receive(there.pop(0))
            timeline.since = perf_counter() if there else None
            begin = perf_counter()
            outbox.put(done)
            timeline.room.extend((begin, perf_counter()))

    def _send(self, item: Passed) -> None:
        if item.ready is not None:
            item.ready.synchronize()
        if self.timeline.since is None:
            self.timeline.since = perf_counter()
        self.process.send(item.value)

    def _receive(self, item: Passed) -> Passed:
        timeline = self.timeline
        timeline.number = item.number
        answer: Answer = self.process.receive()
        timeline.since = None
        if answer.error is not None:
            raise failed(self.stage, item.number, None, answer.error)
        timeline.busy.extend((answer.begin, answer.end))
        timeline.cpu.append(answer.cpu)
        return Passed(item.number, item.given, answer.value)

    def settle(self) -> None:
        """Everything is known."""


def worker_of(stage: PipelineStage) -> StageWorker:
    """One worker of a stage; its process has been started, and is not ready yet."""
    if stage.where == "process":
        return ProcessWorker(stage, WorkerProcess(stage.name, stage.fn))
    if stage.where == "stream":
        from pytest_gpuperf.pipeline.streams import StreamWorker  # noqa: PLC0415 - imports torch

        return StreamWorker(stage)
    return ThreadWorker(stage)
