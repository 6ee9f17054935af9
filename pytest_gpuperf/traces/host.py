"""What the host did for each piece of work: the call that launched it, and the waits and inputs before that call."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytest_gpuperf.traces.activities import COPY, NO_CORRELATION, Flags, Ints, Small, Spans, Trace, blocks
from pytest_gpuperf.traces.intervals import Union, union

NOTHING = -1
# Nsight Systems writes a version behind a call's name: cudaStreamSynchronize_v3020.
_WAITS = re.compile(r"(?:Device|Stream|Event|Ctx|Context)Synchronize|^(?:cuda|cu|hip)Memcpy(?!.*(?:Async|Batch))")
_EVENT_WAITS = re.compile(r"StreamWaitEvent")
_INPUTS = re.compile(
    r"dataloader.*next|^(?:data|input)s?$|(?:load|read|fetch|next|get)\w*[ _.-]?(?:batch|data|input|sample)"
    r"|(?:data|batch|input|sample)s?[ _.-]?(?:load|read|fetch|wait)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Host:
    """Calls that launched or waited, thread after thread and in order. All else that the host called is left out."""

    calls: Spans
    is_wait: Flags  # the host went on only when the device had done something
    waits_for_event: Flags  # a stream was made to wait for another since the call before
    launch: Small  # of each piece of work: its place in `calls`, or NOTHING
    inputs: dict[int, Union]  # thread -> when it waited for its next input

    def before(self, call: Small) -> Small:
        """The call before each, on the same thread."""
        place = np.maximum(call - 1, 0)
        return np.where((call > 0) & (self.calls.lane[place] == self.calls.lane[np.maximum(call, 0)]), place, NOTHING)

    def waiting_for_input(self, thread: Small, start: Ints, end: Ints) -> Ints:
        """How long each thread waited for its input in each of these times."""
        found = np.zeros(len(start), dtype=np.int64)
        for lane, times in self.inputs.items():
            mine = thread == lane
            if mine.any():
                found[mine] = times.within(start[mine], end[mine])
        return found


def host_of(trace: Trace) -> Host:
    """From the calls and the ranges of a trace."""
    launch = _launches(trace)
    calls, work = trace.calls.spans, trace.work
    is_wait = named(trace.names, _WAITS)[calls.name]
    copies = np.flatnonzero((work.kind == COPY) & (launch != NOTHING))
    blocked = calls.end[launch[copies]] >= work.spans.end[copies]  # a copy from memory that is not pinned, mostly
    is_wait[launch[copies[blocked]]] = True
    kept = is_wait.copy()
    kept[launch[launch != NOTHING]] = True
    events = np.flatnonzero(named(trace.names, _EVENT_WAITS)[calls.name])
    order = np.flatnonzero(kept)
    order = order[np.lexsort((calls.start[order], calls.lane[order]))]
    place = np.full(len(calls) + 1, NOTHING, dtype=np.int32)
    place[order] = np.arange(len(order))
    ours = calls.taken(order)
    return Host(ours, is_wait[order], _after(ours, calls.taken(events)), place[launch], _inputs(trace))


def _launches(trace: Trace) -> Small:
    """Of each piece of work the first call that has its correlation."""
    known, wanted = trace.calls.correlation, trace.work.correlation
    found = np.full(len(wanted), NOTHING, dtype=np.int32)
    if not len(known):
        return found
    order = np.argsort(known, kind="stable").astype(np.int32)
    known = known[order]
    for rows in blocks(len(wanted)):
        place = np.minimum(np.searchsorted(known, wanted[rows]), len(known) - 1)
        is_right = (wanted[rows] != NO_CORRELATION) & (known[place] == wanted[rows])
        found[rows] = np.where(is_right, order[place], NOTHING)
    return found


def _after(calls: Spans, events: Spans) -> Flags:
    """Whether one of the events lies between each call and the one before it on its thread."""
    found = np.zeros(len(calls), dtype=np.bool_)
    for thread in np.unique(events.lane):
        mine = np.flatnonzero(calls.lane == thread)
        place = np.searchsorted(calls.start[mine], events.start[events.lane == thread])
        found[mine[place[place < len(mine)]]] = True
    return found


def _inputs(trace: Trace) -> dict[int, Union]:
    ranges = trace.ranges
    ours = ranges.taken(named(trace.names, _INPUTS)[ranges.name])
    return {
        int(thread): union(ours.start[ours.lane == thread], ours.end[ours.lane == thread])
        for thread in np.unique(ours.lane)
    }


def named(names: Sequence[str], pattern: re.Pattern[str]) -> Flags:
    """For each name, whether it is of that kind."""
    return np.array([pattern.search(name) is not None for name in names], dtype=np.bool_)
