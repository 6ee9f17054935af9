"""Times in which something ran. Things that run side by side count once: unions of intervals, never sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_gpuperf.traces.activities import Ints


@dataclass(frozen=True, slots=True)
class Union:
    """Intervals that neither touch nor overlap, in order."""

    start: Ints
    end: Ints

    @property
    def total(self) -> int:
        """Nanoseconds in all of them."""
        return int((self.end - self.start).sum())

    def until(self, moments: Ints) -> Ints:
        """How much of them lies before each moment."""
        if not len(self.start):
            return np.zeros(len(moments), dtype=np.int64)
        lengths = np.concatenate(([0], np.cumsum(self.end - self.start)))
        place = np.searchsorted(self.start, moments, side="right")
        inside = np.minimum(moments, self.end[np.maximum(place - 1, 0)]) - self.start[np.maximum(place - 1, 0)]
        return np.where(place > 0, lengths[np.maximum(place - 1, 0)] + inside, 0)

    def within(self, start: Ints, end: Ints) -> Ints:
        """How much of them lies in each of these."""
        return self.until(end) - self.until(start)


def union(start: Ints, end: Ints) -> Union:
    """Of intervals in order of their starts. What took no time covers none."""
    some = end > start
    return merged(start, end) if some.all() else merged(start[some], end[some])


def merged(start: Ints, end: Ints) -> Union:
    """The same, where what took no time is kept: it parts two gaps."""
    if not len(start):
        return Union(start, end)
    until = np.maximum.accumulate(end)
    begins = np.concatenate(([True], start[1:] > until[:-1]))
    last = np.concatenate((np.flatnonzero(begins)[1:] - 1, [len(start) - 1]))
    return Union(start[begins], until[last])


def _touched(these: Union, others: Union) -> Union:
    which = others.within(these.start, these.end) > 0
    return Union(these.start[which], these.end[which])


def both(a: Union, b: Union) -> Union:
    """Where both are. Of the one only what the other touches is looked at: there are few copies beside many kernels."""
    a = _touched(a, b)
    b = _touched(b, a)
    start = np.concatenate((a.start, b.start))
    end = np.concatenate((a.end, b.end))
    moments = np.concatenate((start, end))
    change = np.concatenate((np.ones(len(start), np.int64), np.full(len(end), -1, np.int64)))
    order = np.lexsort((change, moments))
    depth = np.cumsum(change[order])
    moments = moments[order]
    enters = np.flatnonzero((depth == 2) & (change[order] == 1))
    return Union(moments[enters], moments[enters + 1])
