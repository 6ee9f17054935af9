"""What changed between two traces of one program: its time, what the devices did with it, and which kernels. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, log
from statistics import median
from typing import Literal, get_args

from msgspec import structs

from pytest_gpuperf.causes.explain import Explanation, ProfiledSide, explain
from pytest_gpuperf.causes.profile_pair import NAMED
from pytest_gpuperf.errors import DeviceError
from pytest_gpuperf.gate.median_interval import UNKNOWN, median_half_width
from pytest_gpuperf.records.fields import Name, Record
from pytest_gpuperf.records.model import KERNELS_KEPT, Kernel, Profile
from pytest_gpuperf.records.trace_analysis import CPU, DeviceTime, Duration, GapCause, Number, StepTime, TraceAnalysis
from pytest_gpuperf.records.units import format_change, format_percent, format_seconds, in_words

TRACE_CHANGE = "gpuperf-trace-change"
ENOUGH = 6  # steps on each side, without the first: fewer give no interval
_FEWEST = 3  # steps of which the first may be left out as a warm-up ...
_WARM_UP = 5  # ... one of so many, ...
_WARM_UP_MOST = 3  # ... and no more than these
_NUMBER = re.compile(r"[\s#_:.-]*\d+$")

TraceWord = Literal["regressed", "unchanged", "inconclusive"]


class Pair(Record, frozen=True, kw_only=True):
    """One figure in both traces: seconds."""

    before: Duration
    after: Duration

    @property
    def ratio(self) -> float | None:
        """Times as long as before."""
        return None if self.before == 0 else self.after / self.before


class TraceSide(Record, frozen=True, kw_only=True):
    """One of the two traces."""

    file: Name
    sha256: Name
    steps: Number  # that count
    left_out: Number  # the first ones, which warm up


class DeviceChange(Record, frozen=True, kw_only=True):
    """One device in both traces."""

    device: Name
    compute: Pair  # of a step, the median; of the whole trace where there are no steps
    exposed: Pair  # likewise: it copied and computed nothing
    idle: Pair  # likewise
    causes: dict[GapCause, Pair] = {}  # of idle time in the whole trace, a step
    explanation: Explanation  # kernels of the whole trace


class TraceVerdict(Record, frozen=True, kw_only=True):
    """Whether the second trace may pass."""

    word: TraceWord
    tolerance: float
    reason: Name


class TraceChange(Record, frozen=True, kw_only=True):
    """What changed from one trace to another."""

    format: Literal["gpuperf-trace-change"] = TRACE_CHANGE
    version: Literal[1] = 1
    before: TraceSide
    after: TraceSide
    steps: Name | None = None  # what its steps are called; None: the whole trace is compared
    time: Pair  # of a step, the median; else from the first kernel or copy to the last
    low: float | None = None  # the 95 % interval of the ratio; None where there are too few steps to know one
    high: float | None = None
    devices: tuple[DeviceChange, ...]
    notes: tuple[Name, ...] = ()
    verdict: TraceVerdict | None = None  # None: nobody asked for one

    @property
    def ratio(self) -> float:
        """Times as long as before."""
        return self.time.after / self.time.before

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the ratio."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def worst(self) -> DeviceChange:
        """The device whose time changed most."""
        return max(self.devices, key=lambda d: abs(_busy(d, "after") - _busy(d, "before")))


def _busy(device: DeviceChange, side: Literal["before", "after"]) -> float:
    return sum(getattr(pair, side) for pair in (device.compute, device.exposed, device.idle))


@dataclass(frozen=True)
class _Side:
    """The steps of one trace that count."""

    analysis: TraceAnalysis
    steps: Sequence[StepTime]
    left_out: int

    @property
    def all_steps(self) -> int:
        return len(self.steps) + self.left_out

    def record(self) -> TraceSide:
        return TraceSide(
            file=self.analysis.file, sha256=self.analysis.sha256, steps=len(self.steps), left_out=self.left_out
        )

    def times(self, devices: Sequence[str]) -> list[float]:
        """Of each step; a step ends when the last of its devices ends."""
        if not self.steps:
            return [max(d.use.seconds for d in self.analysis.devices if d.device in devices)]
        return [max(s.uses[d].seconds for d in devices) for s in self.steps]


def trace_change(before: TraceAnalysis, after: TraceAnalysis) -> TraceChange:
    """What changed; `DeviceError` where no device is in both."""
    before, renumbered = _renumbered(before, after)
    shared = _shared(before, after)
    a, b = _sides(before, after, shared)
    times = a.times(shared), b.times(shared)
    time = Pair(before=median(times[0]), after=median(times[1]))
    if time.before == 0 or time.after == 0:
        raise DeviceError(
            f"{before.file} and {after.file}: the compared time is 0 s in one of them, so there is no change to tell. "
            f"Record several calls or steps"
        )
    interval = _interval(*times) if a.steps else None
    return TraceChange(
        before=a.record(),
        after=b.record(),
        steps=_kind(a.steps[0].name) if a.steps else None,
        time=time,
        low=interval and interval[0],
        high=interval and interval[1],
        devices=tuple(_device(name, a, b, time) for name in shared),
        notes=(*renumbered, *_notes(before, after, shared)),
    )


def judged(change: TraceChange, tolerance: float) -> TraceChange:
    """With its verdict. *Regressed*: slower by more than the tolerance and, where steps tell, no accident."""
    allowed, reason = 1 + tolerance, f"{in_words(change.ratio)}, and {format_percent(tolerance)} is tolerated"
    if change.interval is None:
        word: TraceWord = "regressed" if change.ratio > allowed else "unchanged"
        reason += "; of one figure a side nobody knows how much it varies"
    elif change.ratio > allowed and change.interval[0] > 1:
        word = "regressed"
    elif change.interval[1] <= allowed:
        word = "unchanged"
    else:
        word = "inconclusive"
        low, high = map(format_change, change.interval)
        reason += f"; the interval reaches from {low} to {high}: record more steps"
    return structs.replace(change, verdict=TraceVerdict(word=word, tolerance=tolerance, reason=reason))


def why(change: TraceChange) -> list[str]:
    """The likeliest causes, and what idle time did; nothing where nothing tells."""
    worst = change.worst
    causes = [c.sentence for c in worst.explanation.causes if c.kind != "nothing"]
    return [*causes[:NAMED], *_idle_sentences(worst, change)]


def _idle_sentences(device: DeviceChange, change: TraceChange) -> Iterator[str]:
    """The cause of idle time that changed most, where it is a good part of the change."""
    more = change.time.after - change.time.before
    cause, pair = max(device.causes.items(), key=lambda item: abs(item[1].after - item[1].before), default=(None, None))
    if cause is not None and pair is not None and (pair.after - pair.before) * more >= 0.25 * more * more > 0:
        yield (
            f"{device.device} idle for the cause {cause!r}: {format_seconds(pair.before)} -> "
            f"{format_seconds(pair.after)}{' a step' if change.steps else ''}"
        )


def _renumbered(before: TraceAnalysis, after: TraceAnalysis) -> tuple[TraceAnalysis, tuple[str, ...]]:
    """The one GPU of either is the same to compare, whatever its number was; and a note of that."""
    if len(before.devices) != 1 or len(after.devices) != 1:
        return before, ()
    (device,), name = before.devices, after.devices[0].device
    if device.device == name or CPU in {device.device, name}:
        return before, ()
    steps = tuple(
        structs.replace(s, uses={name: s.uses[device.device]}) for s in before.steps if device.device in s.uses
    )
    note = (
        f"{device.device} of {before.file} is compared with {name} of {after.file}: each is the only one in its trace"
    )
    return structs.replace(before, devices=(structs.replace(device, device=name),), steps=steps), (note,)


def _shared(before: TraceAnalysis, after: TraceAnalysis) -> list[str]:
    names = [d.device for d in before.devices], [d.device for d in after.devices]
    shared = [name for name in names[0] if name in names[1]]
    if not shared:
        shown = [", ".join(side) or "no device" for side in names]
        raise DeviceError(
            f"{before.file} holds {shown[0]}, and {after.file} {shown[1]}: only what ran on the same device can be "
            f"compared. Record both with ProfilerActivity.CUDA, or both without"
        )
    return shared


def _sides(before: TraceAnalysis, after: TraceAnalysis, shared: Sequence[str]) -> tuple[_Side, _Side]:
    """The steps of the kind that both have, and that takes most of the time; none: the whole traces."""
    a, b = (_steps_by_kind(side, shared) for side in (before, after))
    common = [kind for kind in a if kind in b]
    if not common:
        return _Side(before, (), 0), _Side(after, (), 0)
    kind = max(common, key=lambda k: sum(use.seconds for s in (*a[k], *b[k]) for use in s.uses.values()))
    return _without_warm_up(before, a[kind]), _without_warm_up(after, b[kind])


def _steps_by_kind(analysis: TraceAnalysis, shared: Sequence[str]) -> dict[str, list[StepTime]]:
    found: defaultdict[str, list[StepTime]] = defaultdict(list)
    for step in analysis.steps:
        if all(device in step.uses for device in shared):
            found[_kind(step.name)].append(step)
    return found


def _kind(name: str) -> str:
    """``ProfilerStep#12`` -> ``ProfilerStep``; ``12`` -> ``step``."""
    return _NUMBER.sub("", name) or "step"


def _without_warm_up(analysis: TraceAnalysis, steps: Sequence[StepTime]) -> _Side:
    """The first steps compile, load and allocate. How many are left out depends on their number alone."""
    count = len(steps)
    first = 0 if count < _FEWEST else min(max(1, count // _WARM_UP), _WARM_UP_MOST)
    return _Side(analysis, steps[first:], first)


def _interval(before: Sequence[float], after: Sequence[float]) -> tuple[float, float] | None:
    """Of the ratio of both medians; steps of one process depend on each other, and count as fewer."""
    if min(len(before), len(after)) < ENOUGH:
        return None
    halves = [median_half_width(times) for times in (before, after)]
    if UNKNOWN in halves:
        return None
    half = (halves[0] ** 2 + halves[1] ** 2) ** 0.5
    middle = log(median(after) / median(before))
    return exp(middle - half), exp(middle + half)


def _device(name: str, a: _Side, b: _Side, time: Pair) -> DeviceChange:
    devices = [next(d for d in side.analysis.devices if d.device == name) for side in (a, b)]
    shares = [max(side.all_steps, 1) for side in (a, b)]
    causes = [c for c in get_args(GapCause) if any(d.idle.get(c) for d in devices)]
    return DeviceChange(
        device=name,
        compute=_of_steps(name, a, b, "compute"),
        exposed=_of_steps(name, a, b, "exposed"),
        idle=_of_steps(name, a, b, "idle"),
        causes={
            cause: Pair(
                before=devices[0].idle.get(cause, 0.0) / shares[0], after=devices[1].idle.get(cause, 0.0) / shares[1]
            )
            for cause in causes
        },
        explanation=explain(
            _profiled(devices[0], time.before, shares[0], shares[1]),
            _profiled(devices[1], time.after, shares[1], shares[1]),
        ),
    )


def _of_steps(device: str, a: _Side, b: _Side, figure: Literal["compute", "exposed", "idle"]) -> Pair:
    before, after = (_middle(device, side, figure) for side in (a, b))
    return Pair(before=before, after=after)


def _middle(device: str, side: _Side, figure: str) -> float:
    uses = [s.uses[device] for s in side.steps] or [d.use for d in side.analysis.devices if d.device == device]
    return median(max(0.0, getattr(use, figure)) for use in uses)


def _profiled(device: DeviceTime, seconds: float, steps: int, of_steps: int) -> ProfiledSide:
    """Its kernels as the profile of one call; as many steps as the other trace has, so that counts can be compared."""
    scale, longest = of_steps / steps, device.top[:KERNELS_KEPT]
    kernels = tuple(
        Kernel(name=k.name, count=max(1, round(k.count * scale)), seconds=k.seconds * scale) for k in longest
    )
    unlisted = max(0, device.kernels - sum(k.count for k in longest))
    return ProfiledSide(
        profile=Profile(
            session="-",
            unit="operator" if device.device == CPU else "kernel",
            launches=sum(k.count for k in kernels) + round(unlisted * scale),
            busy=device.use.compute * scale,
            idle=device.use.idle * scale,
            kernels=kernels,
        ),
        seconds=seconds * of_steps,
    )


def _notes(before: TraceAnalysis, after: TraceAnalysis, shared: Sequence[str]) -> Iterator[str]:
    for analysis in (before, after):
        yield from (f"{analysis.file}: {note}" for note in analysis.notes)
        others = [d.device for d in analysis.devices if d.device not in shared]
        if others:
            yield f"{analysis.file} alone holds {', '.join(others)}, which is left out"
    if before.tool != after.tool:
        yield f"{before.tool} recorded one trace and {after.tool} the other: they slow a program down differently"
    yield from _other_cards(before, after, shared)
    if before.sha256 == after.sha256:
        yield "both files have the same content"


def _other_cards(before: TraceAnalysis, after: TraceAnalysis, shared: Sequence[str]) -> Iterator[str]:
    for name in shared:
        cards = [next(d.name for d in side.devices if d.device == name) for side in (before, after)]
        if None not in cards and cards[0] != cards[1]:
            yield f"{name} is {cards[0]} in one trace and {cards[1]} in the other: two machines, not two revisions"


def other_cards(before: TraceAnalysis, after: TraceAnalysis) -> list[str]:
    """Which devices are known to be of another kind in the other trace: no gate may compare them."""
    before, _ = _renumbered(before, after)
    return list(_other_cards(before, after, _shared(before, after)))
