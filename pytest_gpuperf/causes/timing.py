"""Causes that only times tell: the same kernels, and one takes longer, or each, or nothing runs. Pure.

The times are one call's. They are believed where they agree with the timed figure: where the profiled calls differ in
the same direction, and by not much more or less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log, log1p
from statistics import median

from pytest_gpuperf.causes.kernels import KernelChange
from pytest_gpuperf.causes.profile_pair import Cause, ProfiledSide, Seen, longer
from pytest_gpuperf.records.same_device import software_changes
from pytest_gpuperf.records.units import format_change, format_seconds

_AGREES = 4.0  # times more or less than the timed change: beyond it the profiled call was another one
_HALF = 0.5  # of the change: what accounts for so much of it is its cause
_MOST = 0.8  # of the time of the kernels beside the longest: so much of it changes alike where it is the machine
_ALIKE = 0.5  # of the common change of a logarithm: kernels within it changed alike
_CLOCK_MOVED = 0.02  # of the SM clock: less is the ordinary wander of a card
_WIDE = {"kernel": 0.03, "operator": 0.10}  # two profiled calls of the same differ by so much
_LEAST = 1e-9
_THREADS = "threads "
_STACK = ("torch", "cuda", "driver", "cudnn", "triton", "onnxruntime", "onnxruntime-gpu", "torchvision", "timm")


def one_kernel(seen: Seen) -> Iterator[Cause]:
    """One of the same kernels takes longer."""
    if not seen.same_kernels or not seen.changes or not _agree(seen):
        return
    first, *rest = seen.changes
    others = longer(rest)
    if abs(first.more) < _HALF * abs(seen.more) or abs(others) > _HALF * abs(first.more):
        return
    ratio, usual = _ratio([first]), _ratio(rest)
    if abs(log(usual)) > _ALIKE * abs(log(ratio)):  # it takes most of the time, and changed as the others did
        return
    figures = f"{format_seconds(first.seconds[0])} -> {format_seconds(first.seconds[1])}, {format_change(ratio)}"
    sentence = f"the same kernels, and one of them {_slower(first.more)}: {first.title} ({figures})"
    yield Cause(kind="one kernel", sentence=sentence, seconds=first.more)


def machine(seen: Seen) -> Iterator[Cause]:
    """Each of the same kernels takes longer by the same factor."""
    if not seen.same_kernels or not seen.changes or not _agree(seen):
        return
    common = _ratio(seen.changes)
    wide = log1p(_WIDE[seen.b.unit])
    band = max(wide, _ALIKE * abs(log(common)))
    unlike = [c for c in seen.changes if abs(log(_ratio([c])) - log(common)) > band]
    longest = max(seen.changes, key=lambda c: c.seconds[0])
    others = [c for c in seen.changes if c is not longest]
    most = (1 - _MOST) * sum(c.seconds[0] for c in others)
    if not others or abs(log(common)) < wide or longest in unlike or sum(c.seconds[0] for c in unlike) > most:
        return
    beside = [*_clock(seen.before, seen.after), *_canaries(seen.before, seen.after)]
    told = f" ({'; '.join(beside)})" if beside else ""
    sentence = (
        f"the same kernels, each {_slower(common - 1)} by about the same factor ({format_change(common)}): "
        f"the machine or its clocks{told}"
    )
    yield Cause(kind="machine", sentence=sentence, seconds=seen.b.busy - seen.a.busy)


def idle(seen: Seen) -> Iterator[Cause]:
    """More, or less, of the call in which no kernel runs."""
    more = seen.b.idle - seen.a.idle
    if more * seen.more <= 0 or abs(more) < _HALF * abs(seen.more) or not _agree(seen):
        return
    before, after = (format_seconds(max(p.idle, _LEAST)) for p in (seen.a, seen.b))
    same = "the same kernels, and " if seen.same_kernels else ""
    if seen.b.unit == "kernel":
        who = "the GPU waits for the host" if more > 0 else "the GPU waits less for the host"
        what = f"{who}: gaps between kernels {before} -> {after}"
    else:
        what = f"{'more' if more > 0 else 'less'} time outside torch's operators: {before} -> {after}"
    yield Cause(kind="idle", sentence=same + what, seconds=more)


def settings(seen: Seen) -> Iterator[Cause]:
    """What torch was set to, and may choose its kernels by."""
    for change in _settings(seen):
        if not change.startswith(_THREADS):
            yield Cause(kind="setting", sentence=f"torch's setting {change}")


def threads(seen: Seen) -> Iterator[Cause]:
    """How many threads torch was given: it changes how long the same kernels take, and not which they are."""
    for change in _settings(seen):
        if change.startswith(_THREADS):
            accounted = seen.b.busy - seen.a.busy if seen.same_kernels and _agree(seen) else None
            yield Cause(kind="setting", sentence=f"torch's setting {change}", seconds=accounted)


def environment(before: ProfiledSide, after: ProfiledSide) -> Iterator[Cause]:
    """Other versions, another clock: known without any profile."""
    changed = software_changes(before.software, after.software)
    stack = [what for what in changed if what.rsplit(" ", 3)[0] in _STACK]
    if stack:
        yield Cause(kind="software", sentence=f"other software: {', '.join(stack)}")
    clock = list(_clock(before, after))
    if clock:
        assert before.sm_clock is not None
        assert after.sm_clock is not None
        expected = before.seconds * (before.sm_clock / after.sm_clock - 1)
        yield Cause(kind="machine", sentence=f"another clock: {clock[0]}", seconds=expected)


def _settings(seen: Seen) -> list[str]:
    return software_changes(seen.a.settings, seen.b.settings)


def _ratio(changes: Sequence[KernelChange]) -> float:
    """How many times as long these kernels take together; 1 where there are none."""
    before, after = (sum(c.seconds[side] for c in changes) for side in (0, 1))
    return max(after, _LEAST) / max(before, _LEAST)


def _agree(seen: Seen) -> bool:
    profiled = (seen.b.busy + seen.b.idle) - (seen.a.busy + seen.a.idle)
    return profiled * seen.more > 0 and 1 / _AGREES <= profiled / seen.more <= _AGREES


def _slower(more: float) -> str:
    return "slower" if more > 0 else "faster"


def _clock(before: ProfiledSide, after: ProfiledSide) -> Iterator[str]:
    if before.sm_clock and after.sm_clock and abs(after.sm_clock / before.sm_clock - 1) >= _CLOCK_MOVED:
        change = format_change(after.sm_clock / before.sm_clock)
        yield f"SM clock {before.sm_clock:,.0f} -> {after.sm_clock:,.0f} MHz, {change}"


def _canaries(before: ProfiledSide, after: ProfiledSide) -> Iterator[str]:
    """How fixed work changed, which runs none of the user's code."""
    shared = [after.canaries[name] / seconds for name, seconds in before.canaries.items() if name in after.canaries]
    if shared:
        yield f"fixed work that runs no code of yours {format_change(median(shared))}"
