"""From what each worker noted to the figures of the stages: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_gpuperf.pipeline.buffer import Tally
from pytest_gpuperf.pipeline.workers import Timeline
from pytest_gpuperf.records.pipeline import QueueFigures, StageFigures, Where

Intervals = NDArray[np.float64]  # beginnings and ends


@dataclass(frozen=True)
class Alone:
    """A stage with no other one beside it."""

    busy: float  # seconds an item, the mean
    cpu: float


@dataclass(frozen=True)
class Stretch:
    """From the first item that counts to the last."""

    begin: float
    end: float
    items: int

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.end - self.begin


def alone(timeline: Timeline) -> Alone:
    """Of a stage that ran alone: its first item, which loads and compiles, does not count where there are others."""
    spans = _pairs(timeline.busy)
    busy = spans[:, 1] - spans[:, 0]
    cpu = np.asarray(timeline.cpu)
    first = 1 if len(busy) > 1 else 0
    return Alone(float(busy[first:].mean()), float(cpu[first:].mean()) if len(cpu) else 0.0)


def stage_figures(
    name: str,
    where: Where,
    timelines: Sequence[Timeline],
    before: Alone,
    stretch: Stretch,
    queue: QueueFigures | None,
) -> StageFigures:
    """One stage's, of all its workers. A call that lies in the stretch by half counts by half."""
    busy = calls = cpu = waited = held = 0.0
    for timeline in timelines:
        spans = _pairs(timeline.busy)
        worked = _within(spans, stretch)
        counted = worked / np.maximum(spans[:, 1] - spans[:, 0], 1e-12)
        busy += float(worked.sum())
        calls += float(counted.sum())
        if len(timeline.cpu):
            cpu += float((np.asarray(timeline.cpu) * counted).sum())
        waited += _beside(_pairs(timeline.input), spans, stretch)
        held += _beside(_pairs(timeline.room), spans, stretch)
    time = stretch.seconds * len(timelines)
    return StageFigures(
        name=name,
        where=where,
        workers=len(timelines),
        busy=busy / max(calls, 1e-9),
        alone=max(before.busy, 1e-9),
        cpu=None if where == "stream" else cpu / max(calls, 1e-9),
        busy_share=_share(busy / time),
        input_share=_share(waited / time),
        room_share=_share(held / time),
        queue=queue,
    )


def queue_figures(capacity: int, begin: Tally, end: Tally) -> QueueFigures:
    """What a queue held between two moments."""
    seconds = max(end.at - begin.at, 1e-9)
    return QueueFigures(
        capacity=capacity,
        mean=max(0.0, (end.items - begin.items) / seconds),
        full=_share((end.full - begin.full) / seconds),
        empty=_share((end.empty - begin.empty) / seconds),
    )


def _pairs(flat: Sequence[float]) -> Intervals:
    return np.asarray(flat, dtype=np.float64).reshape(-1, 2)


def _within(spans: Intervals, stretch: Stretch) -> NDArray[np.float64]:
    """Seconds of each span that lie in the stretch."""
    clipped = np.clip(spans, stretch.begin, stretch.end)
    return clipped[:, 1] - clipped[:, 0]


def _beside(waits: Intervals, work: Intervals, stretch: Stretch) -> float:
    """Seconds of the waits in which the worker did not work either: its pipe, or its stream, may have had more."""
    inside = np.clip(waits, stretch.begin, stretch.end)
    seconds = float((inside[:, 1] - inside[:, 0]).sum())
    if not len(work):
        return seconds
    edges = work.ravel()
    added = np.concatenate([[0.0], np.cumsum(np.where(np.arange(1, len(edges)) % 2, np.diff(edges), 0.0))])
    both = np.interp(inside[:, 1], edges, added) - np.interp(inside[:, 0], edges, added)
    return max(0.0, seconds - float(both.sum()))


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))
