"""Times in which nothing ran on a device, and why.

Each gap ends with a piece of work, which some call on the host launched. Where that call began after the gap had begun,
the gap has two parts: until the call the host was late, and from then on it was launching.

- *unknown*: the trace does not hold the call.
- *dependency*: the call had begun before the gap, and the stream had been made to wait for another one; or the work
  began so much later than its call had ended that launching cannot be why (see `longest_launch`).
- *launch*: the call had begun before the gap, or launching took longer than the host was late.
- *data*: the host was late, and its thread waited for its next input for at least half of that time.
- *synchronisation*: the last thing that the thread had asked of the device was to wait for it, and up to the gap that
  wait was at least half as long as the gap. Without the wait the thread could have launched that much earlier.
- *host*: it was late, and ran other code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np

from pytest_gpuperf.records.trace_analysis import GapCause
from pytest_gpuperf.traces.activities import Ints, Small, Spans
from pytest_gpuperf.traces.host import NOTHING, Host
from pytest_gpuperf.traces.intervals import Union, union

_STALL = 1e5  # nanoseconds: launching takes a tenth of that; and this many times as long as usual
_USUAL = 10
CAUSES: tuple[GapCause, ...] = get_args(GapCause)


@dataclass(frozen=True, slots=True)
class Gaps:
    """All gaps of a device, in order."""

    start: Ints
    end: Ints
    before: Ints  # the work that ended when each began
    after: Ints  # the work that ended it
    call: Ints  # that launched it
    cause: Small  # a place in `CAUSES`

    def __len__(self) -> int:
        """How many."""
        return len(self.start)


def find_gaps(spans: Spans, busy: Union) -> tuple[Ints, Ints, Ints, Ints]:
    """Start, end, and the work before and after each."""
    start, end = busy.end[:-1], busy.start[1:]
    lasting = np.flatnonzero(spans.end > spans.start)
    after = np.searchsorted(spans.start[lasting], end)
    until = np.maximum.accumulate(spans.end[lasting])
    latest = np.maximum.accumulate(np.where(spans.end[lasting] == until, np.arange(len(lasting)), 0))
    return start, end, lasting[latest[after - 1]], lasting[after]


def explain_gaps(spans: Spans, launch: Ints, host: Host, busy: Union) -> Gaps:
    """The gaps of a device between its pieces of work, with their causes."""
    start, end, before, after = find_gaps(spans, busy)
    call = launch[after]
    known = call != NOTHING
    if not len(host.calls):
        return Gaps(start, end, before, after, call, np.full(len(start), CAUSES.index("unknown"), np.int32))
    called = np.minimum(host.calls.start[call], end)  # clocks of host and device differ a little
    was_late = known & (called > start)
    late = np.where(was_late, called - start, 0)
    thread = host.calls.lane[call].astype(np.int64)
    input_time = host.waiting_for_input(thread, start, start + late)
    waited = _waited(host, call, start)
    cause = np.full(len(start), CAUSES.index("host"), dtype=np.int32)
    launches = end - called > late
    cause[launches] = CAUSES.index("launch")
    cause[2 * waited >= end - start] = CAUSES.index("synchronisation")
    cause[~launches & (2 * input_time >= late)] = CAUSES.index("data")
    cause[~was_late] = CAUSES.index("launch")
    stalled = end - np.maximum(start, host.calls.end[call])
    stalls = (stalled > late) & (stalled > longest_launch((end - called)[was_late]))
    cause[stalls | (~was_late & host.waits_for_event[call])] = CAUSES.index("dependency")
    cause[~known] = CAUSES.index("unknown")
    return Gaps(start, end, before, after, call, cause)


def longest_launch(times: Ints) -> float:
    """The longest that launching can take, from the times that it took where the device had nothing else to do."""
    return max(_STALL, _USUAL * float(np.median(times))) if len(times) else _STALL


def _waited(host: Host, call: Ints, start: Ints) -> Ints:
    """How long the thread had waited for the device just before each call, up to the gap."""
    before = host.before(call)
    waits = (before != NOTHING) & host.is_wait[before]
    return np.where(waits, np.maximum(np.minimum(host.calls.end[before], start) - host.calls.start[before], 0), 0)


def operator_gaps(spans: Spans, host: Host, busy: Union) -> Gaps:
    """The gaps between a processor's operators: some thread waited for its input, or the program ran other code."""
    start, end, before, after = find_gaps(spans, busy)
    times = list(host.inputs.values())
    waiting = union(*_ordered(times)).within(start, end) if times else np.zeros(len(start), dtype=np.int64)
    cause = np.where(2 * waiting >= end - start, CAUSES.index("data"), CAUSES.index("host")).astype(np.int32)
    return Gaps(start, end, before, after, np.full(len(start), NOTHING), cause)


def _ordered(times: list[Union]) -> tuple[Ints, Ints]:
    start, end = np.concatenate([t.start for t in times]), np.concatenate([t.end for t in times])
    order = np.argsort(start, kind="stable")
    return start[order], end[order]
