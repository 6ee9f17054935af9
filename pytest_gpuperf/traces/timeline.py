"""What a page draws: at most so many bars, the longest as they are, and short ones close together as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_gpuperf.records.trace_analysis import CPU, Lane, Timeline
from pytest_gpuperf.traces.activities import Ints, Small, Spans, Trace
from pytest_gpuperf.traces.device_time import SECOND, Device
from pytest_gpuperf.traces.gaps import CAUSES

HOST = "host"
MOST = 20_000  # bars in all lanes
_FEWEST = 100  # in a lane


def timeline_of(trace: Trace, devices: Sequence[Device], steps: Spans) -> Timeline:
    """Steps first, then the host's calls, then each device with its idle times."""
    names = [*trace.names, *CAUSES]
    lanes: list[tuple[str, str, Spans]] = [(HOST, "steps", steps)]
    calls = trace.calls.spans
    lanes += [(HOST, f"thread {trace.threads[lane]}", calls.taken(calls.lane == lane)) for lane in calls.lanes()]
    for device in devices:
        spans, word = device.work.spans, "thread" if device.label == CPU else "stream"
        lanes += [
            (device.label, f"{word} {device.lanes[lane]}", spans.taken(spans.lane == lane)) for lane in spans.lanes()
        ]
        gaps, cause = device.gaps, device.gaps.cause.astype(np.int32)
        lanes.append((device.label, "idle", Spans(cause, gaps.start, gaps.end, cause + len(trace.names))))
    lanes = [lane for lane in lanes if len(lane[2])]
    shares = _shares([len(spans) for _, _, spans in lanes])
    used: dict[int, int] = {}
    drawn = [_lane(*lane, share, used) for lane, share in zip(lanes, shares, strict=True)]
    return Timeline(names=tuple(names[place] for place in used), lanes=tuple(drawn))


def _shares(counts: Sequence[int]) -> list[int]:
    """How many bars each lane may have: what few need, many get."""
    shares, left = [0] * len(counts), MOST
    for number, place in enumerate(sorted(range(len(counts)), key=lambda p: counts[p])):
        shares[place] = min(counts[place], max(1, left // (len(counts) - number)))
        left -= shares[place]
    return shares


def _lane(device: str, name: str, spans: Spans, share: int, used: dict[int, int]) -> Lane:
    start, end, label, count = _merged(spans, share)
    return Lane(
        device=device,
        name=name,
        starts=tuple((start / SECOND).tolist()),
        seconds=tuple(((end - start) / SECOND).tolist()),
        names=tuple(used.setdefault(place, len(used)) for place in label.tolist()),
        counts=tuple(count.tolist()),
    )


def _merged(spans: Spans, share: int) -> tuple[Ints, Ints, Small, Ints]:
    """Bars that are shorter than a moment, and no farther apart, are one, named after the longest of them.

    The moment is made longer until no more bars than that are left.
    """
    if len(spans) <= share:
        return spans.start, spans.end, spans.name, np.ones(len(spans), dtype=np.int64)
    until = np.maximum.accumulate(spans.end)
    length, apart = spans.end - spans.start, spans.start[1:] - until[:-1]
    moment, whole = 1, int(until[-1] - spans.start[0]) + 1
    while True:
        short = length < moment
        begins = np.concatenate(([True], ~(short[1:] & short[:-1] & (apart < moment))))
        if np.count_nonzero(begins) <= share or moment > whole:
            break
        moment *= 2
    first = np.flatnonzero(begins)
    last = np.concatenate((first[1:] - 1, [len(spans) - 1]))
    group = np.cumsum(begins) - 1
    by_length = np.lexsort((-length, group))
    longest = by_length[first]
    return spans.start[first], np.maximum.reduceat(spans.end, first), spans.name[longest], last - first + 1
