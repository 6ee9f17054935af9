"""All that a trace holds, as columns: what ran on devices, what the host did. Times are whole nanoseconds from 0."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pytest_gpuperf.records.trace_analysis import Tool

Ints: TypeAlias = NDArray[np.int64]
Small: TypeAlias = NDArray[np.int32]
Flags: TypeAlias = NDArray[np.bool_]

KERNEL, COPY, FILL = range(3)
BLOCK = 1 << 18  # rows that are worked on at a time: what is computed on the way must not outgrow what is kept
NO_CORRELATION = -1
NO_BYTES = -1  # the trace does not say how many


def blocks(count: int) -> Iterator[slice]:
    """All rows, so many at a time."""
    return (slice(first, first + BLOCK) for first in range(0, count, BLOCK))


@dataclass(frozen=True, slots=True)
class Spans:
    """Things that took a time, in order of their starts."""

    lane: Small  # a place in `Trace.threads` or in `Trace.streams`
    start: Ints
    end: Ints
    name: Small  # a place in `Trace.names`

    def __len__(self) -> int:
        """How many."""
        return len(self.start)

    def taken(self, which: NDArray[Any]) -> Spans:
        """Some of them."""
        return Spans(self.lane[which], self.start[which], self.end[which], self.name[which])

    def lanes(self) -> list[int]:
        """Those in which something is."""
        return [int(lane) for lane in np.unique(self.lane)]


@dataclass(frozen=True, slots=True)
class Calls:
    """What the host asked of the driver, in order of the starts."""

    spans: Spans
    correlation: Ints  # what it launched has the same


@dataclass(frozen=True, slots=True)
class Work:
    """Kernels, copies and fills, in order of the starts."""

    spans: Spans
    correlation: Ints
    kind: Small
    bytes: Ints

    def __len__(self) -> int:
        """How many."""
        return len(self.kind)

    def taken(self, which: NDArray[Any]) -> Work:
        """Some of them."""
        return Work(self.spans.taken(which), self.correlation[which], self.kind[which], self.bytes[which])


@dataclass(frozen=True, slots=True)
class Trace:
    """One file, read."""

    tool: Tool
    schema: str | None
    sha256: str
    names: Sequence[str]
    threads: Sequence[str]
    streams: Sequence[tuple[str, str]]  # a device and a stream of it
    devices: dict[str, str]  # what they are called
    work: Work
    calls: Calls
    operators: Spans  # the outermost of each thread
    ranges: Spans  # what the program marked on the host
    end: int  # of the last
    notes: tuple[str, ...] = ()

    def work_on(self, device: str) -> tuple[Work, NDArray[Any]]:
        """Its part of the work, and where that stands."""
        is_ours = np.array([label == device for label, _ in self.streams], dtype=np.bool_)
        if is_ours.all():
            return self.work, np.arange(len(self.work), dtype=np.int32)
        which = np.flatnonzero(is_ours[self.work.spans.lane])
        return self.work.taken(which), which

    def text(self, name: Any) -> str:
        """What stands at a place among the names."""
        return self.names[int(name)]
