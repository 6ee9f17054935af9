"""A stage on a CUDA stream of its own. The host launches and goes on; only who needs a result waits for it.

How long the stage takes is the time between two events on its stream, around what its function launched. Before the
first of them the stream waits for the item, so that waiting is not taken for work; where the host launches too slowly,
the stream stands still in between, and that counts as busy: nobody else can use it.
"""
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, cast

import torch

from pytest_gpuperf.errors import MissingError
from pytest_gpuperf.pipeline.buffer import Passed
from pytest_gpuperf.pipeline.stage import PipelineStage
from pytest_gpuperf.pipeline.workers import Inbox, Outbox, Timeline, failed


def refuse_without_cuda(what: str) -> None:
    """Streams and pinned memory are CUDA's."""
    if not torch.cuda.is_available():
        raise MissingError(
            f"{what} needs a CUDA device, and torch finds none. Run it on a machine with a GPU, or leave it out here."
        )


@dataclass
class StreamWorker:  # pragma: no cover - needs a GPU
    """Launches the function's work on a stream."""

    stage: PipelineStage
    timeline: Timeline = field(default_factory=Timeline)

    def __post_init__(self) -> None:
        refuse_without_cuda(f"Stage {self.stage.name!r} with where='stream'")
        self._stream = torch.cuda.Stream()
        self._zero = torch.cuda.Event(enable_timing=True)
        self._zero.record(self._stream)
        self._zero.synchronize()
        self._zero_at = perf_counter()
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def alone(self, item: Passed) -> Passed:
        done = self._launch(item)
        self.timeline.since = perf_counter()
        done.ready.synchronize()
        self.timeline.since = None
        return done

    def work(self, inbox: Inbox, outbox: Outbox) -> None:
        timeline = self.timeline
        asked = perf_counter()
        while (item := inbox.get()) is not None:
            begin = perf_counter()
            timeline.input.extend((asked, begin))
            done = self._launch(item)
            launched = perf_counter()
            outbox.put(done)
            asked = perf_counter()
            timeline.room.extend((launched, asked))

    def settle(self) -> None:
        """The events are over: when the work ran, on the host's clock."""
        for events in self._events:
            self.timeline.busy.extend(self._zero_at + self._zero.elapsed_time(event) / 1e3 for event in events)
        self._events.clear()

    def _launch(self, item: Passed) -> Passed:
        timeline = self.timeline
        timeline.number = item.number
        timeline.since = perf_counter()
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        with torch.cuda.stream(self._stream):
            if item.ready is not None:
                self._stream.wait_event(item.ready)
            for tensor in _cuda_tensors(item.value):  # or its memory may be given to others while this reads it
                tensor.record_stream(self._stream)
            start.record(self._stream)
            try:
                value = self.stage.fn(item.value)
            except Exception as error:
                raise failed(self.stage, item.number, error, "") from error
            end.record(self._stream)
        timeline.since = None
        self._events.append((start, end))
        return Passed(item.number, item.given, value, end)


def _cuda_tensors(value: Any) -> Generator[torch.Tensor]:
    """The tensors in an item that are on a GPU."""
    if isinstance(value, torch.Tensor):
        if value.is_cuda:
            yield value
    elif isinstance(value, Mapping):
        for each in cast("Mapping[object, object]", value).values():
            yield from _cuda_tensors(each)
    elif isinstance(value, list | tuple):
        for each in cast("list[object]", value):
            yield from _cuda_tensors(each)
