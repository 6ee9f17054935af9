"""What the host was doing in a gap: the name of what took most of it on the thread that ended it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_gpuperf.traces.activities import Ints, Spans, Trace
from pytest_gpuperf.traces.gaps import CAUSES, Gaps
from pytest_gpuperf.traces.host import NOTHING, Host


def host_names(trace: Trace, host: Host, gaps: Gaps, which: Ints) -> Iterator[str | None]:
    """For some of the gaps; None where nothing that has a name took half of it."""
    lanes: dict[tuple[int, int], Spans] = {}
    sources = (trace.operators, trace.calls.spans, trace.ranges)
    for place in which.tolist():
        call, cause = int(gaps.call[place]), CAUSES[gaps.cause[place]]
        start, end = int(gaps.start[place]), int(gaps.end[place])
        if call == NOTHING:  # on the processor itself, or nothing is known
            yield _most(trace, (trace.ranges,), start, end)
            continue
        if cause == "synchronisation":
            yield trace.text(host.calls.name[call - 1])
            continue
        thread = int(host.calls.lane[call])
        for number, source in enumerate(sources):
            if (number, thread) not in lanes:
                lanes[number, thread] = source.taken(source.lane == thread)
        mine = [lanes[number, thread] for number in range(len(sources))]
        yield _most(trace, mine[::-1] if cause == "data" else mine, start, end)


def _most(trace: Trace, sources: tuple[Spans, ...] | list[Spans], start: int, end: int) -> str | None:
    for spans in sources:
        over = np.minimum(spans.end, end) - np.maximum(spans.start, start)
        inside = np.flatnonzero(over > 0)
        if not len(inside):
            continue
        names, place = np.unique(spans.name[inside], return_inverse=True)
        took = np.bincount(place, weights=over[inside])
        enough = np.flatnonzero(2 * took >= end - start)
        if len(enough):
            # Ranges lie within each other: the shortest says most.
            length = np.bincount(place, weights=(spans.end - spans.start)[inside]) / np.bincount(place)
            return trace.text(names[enough[np.argmin(length[enough])]])
    return None
