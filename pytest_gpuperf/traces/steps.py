"""Steps, as the program marked them: ``ProfilerStep#3``, or a range that repeats."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from pytest_gpuperf.records.trace_analysis import StepTime
from pytest_gpuperf.traces.activities import Spans, Trace
from pytest_gpuperf.traces.device_time import SECOND, Device

_MARKED = re.compile(r"^ProfilerStep#?\s*\d+$")
_NUMBER = re.compile(r"\d+")
# Ranges that torch itself makes, and no program's step.
_TORCH = re.compile(r"^(?:enumerate\(DataLoader\)|Optimizer\.|nccl:|gloo:|aten::|autograd::|##)|, seq = \d+|::")


def find_steps(trace: Trace) -> Spans:
    """The ranges that are steps, in order."""
    ranges = trace.ranges
    marked = np.array([_MARKED.match(name) is not None for name in trace.names], dtype=np.bool_)
    steps = ranges.taken(marked[ranges.name])
    return steps if len(steps) else _repeated(trace, ranges)


def _repeated(trace: Trace, ranges: Spans) -> Spans:
    """Of the outermost ranges those that differ in a number only, at least two: the kind that took the longest."""
    kinds: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for lane in ranges.lanes():
        mine = np.flatnonzero(ranges.lane == lane)
        until = np.maximum.accumulate(ranges.end[mine])
        outermost = mine[np.concatenate(([True], ranges.start[mine][1:] >= until[:-1]))]
        for place in map(int, outermost):
            name = trace.text(ranges.name[place])
            if not _TORCH.search(name):
                kinds[_NUMBER.sub("#", name), lane].append(place)
    repeated = [places for places in kinds.values() if len(places) > 1]
    best = max(repeated, key=lambda p: int((ranges.end[p] - ranges.start[p]).sum()), default=list[int]())
    return ranges.taken(np.array(best, dtype=np.int64))


def step_times(trace: Trace, steps: Spans, devices: Sequence[Device]) -> list[StepTime]:
    """How each device spent the time of each step. What a step launched and ran later is a part of the later one."""
    uses = {device.label: device.uses(steps.start, steps.end) for device in devices}
    return [
        StepTime(
            name=trace.text(steps.name[place]),
            start=int(steps.start[place]) / SECOND,
            uses={label: each[place] for label, each in uses.items()},
        )
        for place in range(len(steps))
    ]
