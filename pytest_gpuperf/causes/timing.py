"""Causes that only the times show: one of the same kernels takes longer, or each does, or no kernel runs. Pure.

The times are those of one call. They count only where they agree with the timed figure: where the profiled calls
differ in the same direction, and by not much more or less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log, log1p
from statistics import median

from pytest_gpuperf.causes.kernels import KernelChange
from pytest_gpuperf.causes.profile_pair import Cause, ProfiledSide, ProfilePair, longer
from pytest_gpuperf.records.same_device import software_changes
from pytest_gpuperf.records.units import format_change, format_seconds

_AGREES = 4.0  # times more or less than the timed change: beyond it the profiled call was another one
_HALF = 0.5  # of the change: what accounts for so much of it is its cause
_MOST = 0.8  # of the time of the kernels beside the longest: so much of it changes alike where it is the machine
_ALIKE = 0.5  # of the logarithm of the common change: kernels that deviate by less changed alike
_CLOCK_MOVED = 0.02  # of the SM clock: less is the ordinary wander of a card
_WIDE = {"kernel": 0.03, "operator": 0.10}  # two profiled calls of the same code differ by so much
_LEAST = 1e-9
_THREADS = "threads "
_STACK = ("torch", "cuda", "driver", "cudnn", "triton", "onnxruntime", "onnxruntime-gpu", "torchvision", "timm")


def one_kernel(pair: ProfilePair) -> Iterator[Cause]:
    """One of the same kernels takes longer."""
    if not pair.same_kernels or not pair.changes or not _agree(pair):
        return
    first, *rest = pair.changes
    others = longer(rest)
    if abs(first.more) < _HALF * abs(pair.more) or abs(others) > _HALF * abs(first.more):
        return
    ratio, usual = _ratio([first]), _ratio(rest)
    if abs(log(usual)) > _ALIKE * abs(log(ratio)):  # it takes most of the time, and changed as the others did
        return
    figures = f"{format_seconds(first.seconds[0])} -> {format_seconds(first.seconds[1])}, {format_change(ratio)}"
    sentence = f"the same kernels, and one of them {_slower(first.more)}: {first.title} ({figures})"
    yield Cause(kind="one kernel", sentence=sentence, seconds=first.more)


def machine(pair: ProfilePair) -> Iterator[Cause]:
    """Each of the same kernels takes longer by the same factor."""
    if not pair.same_kernels or not pair.changes or not _agree(pair):
        return
    common = _ratio(pair.changes)
    wide = log1p(_WIDE[pair.b.unit])
    band = max(wide, _ALIKE * abs(log(common)))
    unlike = [c for c in pair.changes if abs(log(_ratio([c])) - log(common)) > band]
    longest = max(pair.changes, key=lambda c: c.seconds[0])
    others = [c for c in pair.changes if c is not longest]
    most = (1 - _MOST) * sum(c.seconds[0] for c in others)
    if not others or abs(log(common)) < wide or longest in unlike or sum(c.seconds[0] for c in unlike) > most:
        return
    details = [*_clock(pair.before, pair.after), *_canaries(pair.before, pair.after)]
    suffix = f" ({'; '.join(details)})" if details else ""
    sentence = (
        f"the same kernels, each {_slower(common - 1)} by about the same factor ({format_change(common)}): "
        f"the machine or its clocks{suffix}"
    )
    yield Cause(kind="machine", sentence=sentence, seconds=pair.b.busy - pair.a.busy)


def idle(pair: ProfilePair) -> Iterator[Cause]:
    """More, or less, of the call in which no kernel runs."""
    more = pair.b.idle - pair.a.idle
    if more * pair.more <= 0 or abs(more) < _HALF * abs(pair.more) or not _agree(pair):
        return
    before, after = (format_seconds(max(p.idle, _LEAST)) for p in (pair.a, pair.b))
    same = "the same kernels, and " if pair.same_kernels else ""
    if pair.b.unit == "kernel":
        who = "the GPU waits for the host" if more > 0 else "the GPU waits less for the host"
        what = f"{who}: gaps between kernels {before} -> {after}"
    else:
        what = f"{'more' if more > 0 else 'less'} time outside torch's operators: {before} -> {after}"
    yield Cause(kind="idle", sentence=same + what, seconds=more)


def settings(pair: ProfilePair) -> Iterator[Cause]:
    """Torch's settings that changed: it may choose other kernels by them."""
    for change in _settings(pair):
        if not change.startswith(_THREADS):
            yield Cause(kind="setting", sentence=f"torch's setting {change}")


def threads(pair: ProfilePair) -> Iterator[Cause]:
    """The number of torch's threads: it changes how long the same kernels take, and not which kernels run."""
    for change in _settings(pair):
        if change.startswith(_THREADS):
            seconds = pair.b.busy - pair.a.busy if pair.same_kernels and _agree(pair) else None
            yield Cause(kind="setting", sentence=f"torch's setting {change}", seconds=seconds)


def environment(before: ProfiledSide, after: ProfiledSide) -> Iterator[Cause]:
    """Other versions, another clock: known without any profile."""
    changes = software_changes(before.software, after.software)
    stack = [what for what in changes if what.rsplit(" ", 3)[0] in _STACK]
    if stack:
        yield Cause(kind="software", sentence=f"other software: {', '.join(stack)}")
    clock = list(_clock(before, after))
    if clock:
        assert before.sm_clock is not None
        assert after.sm_clock is not None
        expected = before.seconds * (before.sm_clock / after.sm_clock - 1)
        yield Cause(kind="machine", sentence=f"another clock: {clock[0]}", seconds=expected)


def _settings(pair: ProfilePair) -> list[str]:
    return software_changes(pair.a.settings, pair.b.settings)


def _ratio(changes: Sequence[KernelChange]) -> float:
    """How many times as long these kernels take together; 1 where there are none."""
    before, after = (sum(c.seconds[side] for c in changes) for side in (0, 1))
    return max(after, _LEAST) / max(before, _LEAST)


def _agree(pair: ProfilePair) -> bool:
    difference = (pair.b.busy + pair.b.idle) - (pair.a.busy + pair.a.idle)
    return difference * pair.more > 0 and 1 / _AGREES <= difference / pair.more <= _AGREES


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
