"""What a device's last work waited for, step by step back to its first: making one of these shorter makes all shorter.

From a piece of work the path goes to what held it up last: the work before it on its stream, if that was still running
when the host called; otherwise the call. From a call it goes back on the host's thread to the last wait that waited for
the device, and from there to the work that the wait waited for. Each moment of the device's time is in one part.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np

from pytest_gpuperf.records.trace_analysis import OnPath
from pytest_gpuperf.traces.activities import KERNEL, Ints, Small, Work, blocks
from pytest_gpuperf.traces.host import NOTHING, Host


@dataclass(frozen=True, slots=True)
class Path:
    """From the last to the first piece of work on it."""

    work: Small
    length: Ints  # of each, as far as it is on the path
    parts: dict[OnPath, int]


def find_path(work: Work, launch: Small, host: Host, longest_launch: float) -> Path:
    """Of one device, whose work is in order of its starts. There are calls."""
    spans, back = work.spans, _Back(work, launch, host, longest_launch)
    to = np.empty(len(work), dtype=np.int32)
    for rows in blocks(len(work)):
        to[rows], _ = back.from_work(np.arange(len(work), dtype=np.int32)[rows])
    at = int(np.argmax(spans.end))
    visited = array("i")
    while at != NOTHING:
        visited.append(at)
        at = to.item(at)
    path = np.frombuffer(visited, dtype=np.int32)
    until = np.concatenate((spans.end[path[:1]], spans.start[path[:-1]]))
    length = np.minimum(spans.end[path], until) - spans.start[path]
    computes = work.kind[path] == KERNEL
    parts: dict[OnPath, int] = {"compute": int(length[computes].sum()), "copy": int(length[~computes].sum())}
    for rows in blocks(len(path)):
        for part, time in back.from_work(path[rows])[1].items():
            parts[part] = parts.get(part, 0) + int(time.sum())
    return Path(path, length, {part: total for part, total in parts.items() if total})


class _Back:
    """From a piece of work to the one before it on a path, and what the time between them went to."""

    def __init__(self, work: Work, launch: Small, host: Host, longest_launch: float) -> None:
        """What is looked up for each."""
        self._spans, self._launch, self._host, self._longest = work.spans, launch, host, longest_launch
        self._first = int(work.spans.start[0])
        self._on_stream = _before_on_stream(work)
        self._by_end = np.argsort(work.spans.end, kind="stable").astype(np.int32)
        self._ends = work.spans.end[self._by_end]
        # A wait waited for what ended last before it did.
        calls = host.calls
        place = np.searchsorted(self._ends, calls.end, side="right") - 1
        waited = host.is_wait & (place >= 0) & (self._ends[np.maximum(place, 0)] > calls.start)
        self._waited_for = np.where(waited, self._by_end[np.maximum(place, 0)], NOTHING)
        self._wait = _last_wait(host, np.flatnonzero(waited))

    def from_work(self, which: Small) -> tuple[Small, dict[OnPath, Ints]]:
        """Of each of these: the piece of work before it, and the parts between them."""
        start, call, first = self._spans.start[which], self._launch[which], self._first
        known = call != NOTHING
        before = self._held_up_by(which)
        until = np.where(before == NOTHING, first, np.minimum(self._spans.end[before], start))
        called = np.minimum(self._host.calls.start[call], start)
        by_device = (before != NOTHING) & (~known | (until >= called))
        by_host = known & ~by_device

        wait = self._wait[call]
        target = np.where(wait == NOTHING, NOTHING, self._waited_for[wait])
        target = np.where(target < which, target, NOTHING)
        has = target != NOTHING
        ended = np.where(has, np.minimum(self._spans.end[target], start), first)
        called = np.maximum(called, ended)
        waited = np.where(has, np.clip(self._host.calls.end[wait], ended, called), ended)

        since = np.where(by_device, start - until, np.where(by_host, start - called, 0))
        stalls = since > self._longest
        return np.where(by_device, before, np.where(by_host, target, NOTHING)).astype(np.int32), {
            "launch": np.where(stalls, 0, since),
            "dependency": np.where(stalls, since, 0),
            "host": np.where(by_host, called - waited, 0),
            "synchronisation": np.where(by_host, waited - ended, 0),
        }

    def _held_up_by(self, which: Small) -> Small:
        """The work before on the stream; where that was made to wait for another, what ended last on any."""
        before, call, start = self._on_stream[which], self._launch[which], self._spans.start[which]
        place = np.searchsorted(self._ends, start, side="right") - 1
        other = np.where(place >= 0, self._by_end[np.maximum(place, 0)], NOTHING)
        waits = (call != NOTHING) & self._host.waits_for_event[call] & (other != NOTHING) & (other < which)
        later = waits & ((before == NOTHING) | (self._spans.end[other] > self._spans.end[before]))
        return np.where(later, other, before)


def _before_on_stream(work: Work) -> Small:
    """The piece of work before each on its stream."""
    order = np.argsort(work.spans.lane, kind="stable").astype(np.int32)
    lanes = work.spans.lane[order]
    found = np.full(len(work), NOTHING, dtype=np.int32)
    found[order[1:]] = np.where(lanes[1:] == lanes[:-1], order[:-1], NOTHING)
    return found


def _last_wait(host: Host, waits: Ints) -> Small:
    """Of each call the last of the waits before it on its thread; on any thread, where its own never waits."""
    calls = host.calls
    found = np.full(len(calls), NOTHING, dtype=np.int32)
    if not len(waits):
        return found
    own = np.full(len(calls), NOTHING, dtype=np.int32)
    own[waits] = waits
    own = np.concatenate(([NOTHING], np.maximum.accumulate(own)[:-1]))
    has_own = (own != NOTHING) & (calls.lane[own] == calls.lane)
    by_end = waits[np.argsort(calls.end[waits], kind="stable")]
    place = np.searchsorted(calls.end[by_end], calls.start, side="right") - 1
    never_waits = ~np.isin(calls.lane, np.unique(calls.lane[waits])) & (place >= 0)
    return np.where(has_own, own, np.where(never_waits, by_end[np.maximum(place, 0)], NOTHING)).astype(np.int32)
