"""What the profiler saw in one call: kernels on the GPU, operators on the host.

A profiled call is never a timed one. An empty capture says nothing by itself: a profiler that has no access to the GPU
sees no kernels either. `sees_kernels` tells the two apart, with a kernel that certainly ran.

CUDA's profiling library stays in the way of every later launch unless it is told to leave: on an H200 launching took
31 % longer after the first profile, and replaying a graph 35 % longer.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import sleep
from typing import Any

_LEVEL, _QUIET = "KINETO_LOG_LEVEL", "6"  # at this level torch's profiler does not log each of its starts
_LEAVES = "TEARDOWN_CUPTI"  # whether the profiling library leaves when a profile has ended
_LEAVES_SAFELY = (12, 6)  # CUDA before that crashed when a graph was profiled after it had left
_LEAVING = 0.005  # seconds: it leaves at the end of some later call of CUDA, on a thread of its own
_COPIES = ("Memcpy", "Memset", "[memory]")


@dataclass(frozen=True, slots=True)
class Activity:
    """One kernel on the GPU, or one operator on the host. Seconds from the start of the capture."""

    name: str
    start: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Capture:
    """One call."""

    kernels: tuple[Activity, ...]  # in order of start
    copies: tuple[Activity, ...]  # memory copies and fills on the GPU: they compute nothing
    operators: tuple[Activity, ...]  # the outermost, on the host

    @property
    def busy(self) -> float:
        """Seconds in which some kernel ran: kernels side by side count once."""
        total, until = 0.0, 0.0
        for kernel in self.kernels:
            end = kernel.start + kernel.seconds
            total += max(0.0, end - max(kernel.start, until))
            until = max(until, end)
        return total

    @property
    def gaps(self) -> float:
        """Seconds between the first kernel's start and the last one's end in which none ran."""
        if not self.kernels:
            return 0.0
        end = max(k.start + k.seconds for k in self.kernels)
        return max(0.0, end - self.kernels[0].start - self.busy)

    def longest(self, count: int = 3) -> tuple[str, ...]:
        """The names of the kernels that took most of the time; of the operators where there are no kernels."""
        seconds: Counter[str] = Counter()
        for activity in self.kernels or self.operators:
            seconds[activity.name] += activity.seconds  # type: ignore[assignment] - a Counter adds floats too
        return tuple(name for name, _ in seconds.most_common(count))


def capture(call: Callable[[], object], synchronize: Callable[[], None], *, cuda: bool) -> Capture:
    """Run one call under torch's profiler."""
    from torch.profiler import ProfilerActivity, profile  # noqa: PLC0415 - three seconds, for those who profile

    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if cuda else [])
    synchronize()
    with quietly():
        with leaving(synchronize, cuda=cuda), profile(activities=activities) as profiler:
            call()
            synchronize()
        return from_events(profiler.events() or ())


@contextmanager
def leaving(synchronize: Callable[[], None], *, cuda: bool) -> Generator[None]:
    """Around a profile: CUDA's profiling library leaves when it has ended, unless the environment says otherwise."""
    if not cuda:
        yield
        return
    import torch  # noqa: PLC0415

    version = tuple(int(part) for part in (torch.version.cuda or "0").split(".")[:2])
    if version >= _LEAVES_SAFELY:
        os.environ.setdefault(_LEAVES, "1")  # and it stays so: when it is read is the library's affair
    yield
    synchronize()
    sleep(_LEAVING)  # a profile that began before it has left might wait for ever
    synchronize()


@contextmanager
def quietly() -> Generator[None]:
    """Without the profiler's own log lines and warnings: a profile of a single call is intended here."""
    before = os.environ.get(_LEVEL)
    os.environ.setdefault(_LEVEL, _QUIET)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if before is None:
            del os.environ[_LEVEL]


def from_events(events: Iterable[Any]) -> Capture:
    """torch's events, sorted into what they are."""
    found = sorted(events, key=lambda e: e.time_range.start)
    origin = found[0].time_range.start if found else 0.0
    kernels: list[Activity] = []
    copies: list[Activity] = []
    operators: list[Activity] = []
    for event in found:
        start, end = (t * 1e-6 for t in (event.time_range.start - origin, event.time_range.end - origin))
        activity = Activity(event.name, start, end - start)
        if getattr(event, "is_user_annotation", False):
            continue
        if event.device_type.name != "CPU":
            (copies if event.name.startswith(_COPIES) else kernels).append(activity)
        elif event.cpu_parent is None and "::" in event.name:  # the rest is the driver's own doing
            operators.append(activity)
    return Capture(tuple(kernels), tuple(copies), tuple(operators))


def sees_kernels(index: int) -> bool:
    """Whether the profiler sees a kernel that certainly runs."""
    import torch  # noqa: PLC0415

    try:
        x = torch.ones(1, device=torch.device("cuda", index))
    except (RuntimeError, AssertionError):  # no CUDA, or a torch that is not built for it
        return False
    trial = capture(lambda: x.add_(1), partial(torch.cuda.synchronize, index), cuda=True)  # pragma: no cover - a GPU
    return bool(trial.kernels)  # pragma: no cover - needs a GPU
