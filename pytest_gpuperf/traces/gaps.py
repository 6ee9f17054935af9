"""Times in which nothing ran on a device, and why.

Each gap ends with a piece of work, which some call on the host launched. Where that call began after the gap had begun,
the gap has two parts: until the call the host was late, and from then on it was launching.

- *unknown*: the trace does not hold the call.
- *dependency*: the call had begun before the gap, and the stream had been made to wait for another one; or the work
  began so much later than its call had ended that launching cannot be why: ten times as much as usual, and 0.1 ms.
- *launch*: the call had begun before the gap, or launching took longer than the host was late.
- *data*: the host was late, and its thread waited for its next input for at least half of that time.
- *synchronisation*: the last thing that the thread had asked of the device was to wait for it, and up to the gap that
  wait was at least half as long as the gap. Without the wait the thread could have launched that much earlier.
- *host*: it was late, and ran other code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from pytest_gpuperf.records.trace_analysis import GapCause
from pytest_gpuperf.traces.activities import Ints, Small, Spans, blocks
from pytest_gpuperf.traces.host import NOTHING, Host
from pytest_gpuperf.traces.intervals import Union, merged, union

CAUSES: tuple[GapCause, ...] = get_args(GapCause)
_UNKNOWN = CAUSES.index("unknown")
_STALL = 1e5  # nanoseconds: launching takes a tenth of that
_USUAL = 10  # times what launching takes on this device where it had nothing else to do


@dataclass(frozen=True, slots=True)
class Gaps:
    """All gaps of a device, in order."""

    start: Ints
    end: Ints
    before: Small  # the work that ended when each began
    after: Small  # the work that ended it
    call: Small  # that launched it
    cause: NDArray[np.int8]  # a place in `CAUSES`
    longest_launch: float = _STALL  # nanoseconds that launching may take on this device

    def __len__(self) -> int:
        """How many."""
        return len(self.start)


def find_gaps(spans: Spans) -> Gaps:
    """Between pieces of work, each with the work before and after it. Their causes are not known yet."""
    busy = merged(spans.start, spans.end)
    start, end = busy.end[:-1], busy.start[1:]
    after = np.searchsorted(spans.start, end).astype(np.int32)
    is_latest = np.maximum.accumulate(spans.end) == spans.end
    latest = np.maximum.accumulate(np.where(is_latest, np.arange(len(spans), dtype=np.int32), 0))
    nothing = np.full(len(start), NOTHING, dtype=np.int32)
    return Gaps(start, end, latest[after - 1], after, nothing, np.full(len(start), _UNKNOWN, dtype=np.int8))


def explain_gaps(spans: Spans, launch: Small, host: Host) -> Gaps:
    """The gaps of a device, with their causes."""
    gaps = find_gaps(spans)
    if not len(host.calls):
        return gaps
    call = launch[gaps.after]
    called = np.minimum(host.calls.start[call], gaps.end)  # clocks of host and device differ a little
    was_late = (call != NOTHING) & (called > gaps.start)
    launching = (gaps.end - called)[was_late]
    longest = max(_STALL, _USUAL * float(np.median(launching))) if len(launching) else _STALL
    for rows in blocks(len(gaps)):
        gaps.cause[rows] = _causes(host, call[rows], gaps.start[rows], gaps.end[rows], longest)
    return replace(gaps, call=call, longest_launch=longest)


def _causes(host: Host, call: Small, start: Ints, end: Ints, longest: float) -> NDArray[np.int8]:
    called = np.minimum(host.calls.start[call], end)
    was_late = called > start
    late = np.where(was_late, called - start, 0)
    launches = end - called > late
    input_time = host.waiting_for_input(host.calls.lane[call], start, start + late)
    stalled = end - np.maximum(start, host.calls.end[call])
    cause = np.full(len(start), CAUSES.index("host"), dtype=np.int8)
    cause[launches] = CAUSES.index("launch")
    cause[2 * _waited(host, call, start) >= end - start] = CAUSES.index("synchronisation")
    cause[~launches & (2 * input_time >= late)] = CAUSES.index("data")
    cause[~was_late] = CAUSES.index("launch")
    cause[(stalled > late) & (stalled > longest)] = CAUSES.index("dependency")
    cause[~was_late & host.waits_for_event[call]] = CAUSES.index("dependency")
    cause[call == NOTHING] = _UNKNOWN
    return cause


def _waited(host: Host, call: Small, start: Ints) -> Ints:
    """How long the thread had waited for the device just before each call, up to the gap."""
    before = host.before(call)
    waits = (before != NOTHING) & host.is_wait[before]
    return np.where(waits, np.maximum(np.minimum(host.calls.end[before], start) - host.calls.start[before], 0), 0)


def operator_gaps(spans: Spans, host: Host) -> Gaps:
    """The gaps between a processor's operators: some thread waited for its input, or the program ran other code."""
    gaps = find_gaps(spans)
    times = list(host.inputs.values())
    waiting = union(*_ordered(times)).within(gaps.start, gaps.end) if times else np.zeros(len(gaps), dtype=np.int64)
    is_data = 2 * waiting >= gaps.end - gaps.start
    return replace(gaps, cause=np.where(is_data, CAUSES.index("data"), CAUSES.index("host")).astype(np.int8))


def _ordered(times: list[Union]) -> tuple[Ints, Ints]:
    start, end = np.concatenate([t.start for t in times]), np.concatenate([t.end for t in times])
    order = np.argsort(start, kind="stable")
    return start[order], end[order]
