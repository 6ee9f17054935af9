"""What a device's last work waited for, step by step back to its first: making one of these shorter makes all shorter.

From a piece of work the path goes to what held it up last: the work before it on its stream, if that was still running
when the host called; otherwise the call. From a call it goes back on the host's thread to the last wait that waited for
the device, and from there to the work that the wait waited for. Each moment of the device's time is in one part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_gpuperf.records.trace_analysis import OnPath
from pytest_gpuperf.traces.activities import KERNEL, Flags, Ints, Work
from pytest_gpuperf.traces.gaps import longest_launch
from pytest_gpuperf.traces.host import NOTHING, Host


@dataclass(frozen=True, slots=True)
class Path:
    """From the last to the first piece of work on it."""

    work: Ints
    length: Ints  # of each, as far as it is on the path
    parts: dict[OnPath, int]


@dataclass(frozen=True, slots=True)
class _Steps:
    """From each piece of work to the one before it on a path: which, and what the time between them went to."""

    to: Ints
    parts: dict[OnPath, Ints]


def find_path(work: Work, launch: Ints, host: Host) -> Path:
    """Of one device, whose work is in order of its starts."""
    spans = work.spans
    steps = _steps(work, launch, host)
    last = int(np.argmax(spans.end))
    to = steps.to.tolist()
    visited = [last]
    while to[visited[-1]] != NOTHING:
        visited.append(to[visited[-1]])
    path = np.array(visited, dtype=np.int64)
    until = np.concatenate(([spans.end[last]], spans.start[path[:-1]]))
    length = np.minimum(spans.end[path], until) - spans.start[path]
    computes = work.kind[path] == KERNEL
    parts: dict[OnPath, int] = {
        "compute": int(length[computes].sum()),
        "copy": int(length[~computes].sum()),
        **{part: int(each[path].sum()) for part, each in steps.parts.items()},
    }
    return Path(path, length, {part: total for part, total in parts.items() if total})


def _steps(work: Work, launch: Ints, host: Host) -> _Steps:
    spans = work.spans
    first = int(spans.start[0])
    before = _before_on_stream(work)
    other = _before_on_device(work)
    known = launch != NOTHING
    called = np.minimum(host.calls.start[launch], spans.start) if len(host.calls) else spans.start
    if len(host.calls):
        # A stream that was made to wait for another was held up by what ended last on any.
        waits = known & host.waits_for_event[launch] & (other != NOTHING)
        later = waits & ((before == NOTHING) | (spans.end[other] > spans.end[before]))
        before = np.where(later, other, before)
    until = np.where(before == NOTHING, first, np.minimum(spans.end[before], spans.start))
    by_device = (before != NOTHING) & (~known | (until >= called))
    target, ended, waited = _through_host(work, launch, host)
    ended = np.minimum(ended, spans.start)
    called = np.maximum(called, ended)
    waited = np.clip(waited, ended, called)
    by_host = ~by_device & known
    none = np.zeros(len(work), dtype=np.int64)
    since = np.where(by_device, spans.start - until, np.where(by_host, spans.start - called, none))
    stalls = since > longest_launch(since[by_host])
    return _Steps(
        to=np.where(by_device, before, np.where(by_host, target, NOTHING)),
        parts={
            "launch": np.where(stalls, none, since),
            "dependency": np.where(stalls, since, none),
            "host": np.where(by_host, called - waited, none),
            "synchronisation": np.where(by_host, waited - ended, none),
        },
    )


def _before_on_stream(work: Work) -> Ints:
    """The piece of work before each on its stream."""
    order = np.argsort(work.spans.lane, kind="stable")
    lanes = work.spans.lane[order]
    found = np.full(len(work), NOTHING, dtype=np.int64)
    found[order[1:]] = np.where(lanes[1:] == lanes[:-1], order[:-1], NOTHING)
    return found


def _before_on_device(work: Work) -> Ints:
    """The piece of work that had ended last when each began."""
    by_end = np.argsort(work.spans.end, kind="stable")
    place = np.searchsorted(work.spans.end[by_end], work.spans.start, side="right") - 1
    found = np.where(place >= 0, by_end[np.maximum(place, 0)], NOTHING)
    return np.where(found < np.arange(len(work)), found, NOTHING)


def _through_host(work: Work, launch: Ints, host: Host) -> tuple[Ints, Ints, Ints]:
    """Of each piece of work the one for which its thread had waited last, when that ended, and when the wait did."""
    first, count = int(work.spans.start[0]), len(work)
    nothing, begin = np.full(count, NOTHING, dtype=np.int64), np.full(count, first, dtype=np.int64)
    calls = host.calls
    if not len(calls):
        return nothing, begin, begin
    by_end = np.argsort(work.spans.end, kind="stable")
    ends = work.spans.end[by_end]
    place = np.searchsorted(ends, calls.end, side="right") - 1
    waited = host.is_wait & (place >= 0) & (ends[np.maximum(place, 0)] > calls.start)
    wait = _last_wait(host, waited)[launch]
    target = np.where(wait != NOTHING, by_end[np.maximum(place[wait], 0)], NOTHING)
    target = np.where((launch != NOTHING) & (target < np.arange(count)), target, NOTHING)
    has = target != NOTHING
    return target, np.where(has, work.spans.end[target], first), np.where(has, calls.end[wait], first)


def _last_wait(host: Host, waited: Flags) -> Ints:
    """Of each call the last wait before it on its thread; on any thread, where its own never waits."""
    lane = host.calls.lane
    index = np.arange(len(lane))
    latest = np.maximum.accumulate(np.where(waited, index, NOTHING))
    found = np.where(index > 0, latest[index - 1], NOTHING)
    own = (found != NOTHING) & (lane[found] == lane)
    waiting_threads = np.isin(lane, np.unique(lane[waited]))
    waits = np.flatnonzero(waited)
    by_end = waits[np.argsort(host.calls.end[waits], kind="stable")]
    place = np.searchsorted(host.calls.end[by_end], host.calls.start, side="right") - 1
    anywhere = np.where(place >= 0, by_end[np.maximum(place, 0)], NOTHING) if len(waits) else np.full_like(index, -1)
    return np.where(own, found, np.where(waiting_threads, NOTHING, anywhere))
