"""The hot loop, and the clocks it runs on. PYTEST_DONT_REWRITE: nothing may be added to what is timed.

A clock times *spans*. A span is several calls back to back, long enough that reading the clock costs nothing beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from time import perf_counter_ns
from typing import TYPE_CHECKING, Protocol, TypeVar, cast, runtime_checkable

if TYPE_CHECKING:
    from types import FunctionType

    from pytest_gpuperf.records.model import Measurement

Call = Callable[[], object]
F = TypeVar("F", bound=Callable[..., object])

_ROOM = 4096  # words of a frame, more than the piece that Python's stack of frames grows by


def with_room(function: F) -> F:
    """What this function calls, however deep, finds room on Python's stack of frames.

    The stack grows by pieces of 16 KiB. A call whose frame is the first of a new piece maps that piece and gives it
    back, every time: 13 us a call on an EPYC, which come and go with the depth of whatever called us. A frame that
    needs a piece of its own leaves room behind it, so that calls are timed alike at any depth.
    """
    itself = cast("FunctionType", function)
    itself.__code__ = itself.__code__.replace(co_stacksize=_ROOM)
    return function


@dataclass(frozen=True, slots=True)
class Block:
    """A run of consecutive spans. Seconds per call."""

    samples: tuple[float, ...]  # one a span
    wall: float | None = None  # host-synchronised, of back-to-back calls; None where the samples are that
    proven: bool = True  # False: the samples are the host's, because the device's clock could not be believed


class Clock(Protocol):
    """What times spans of calls."""

    @property
    def name(self) -> str:
        """What a figure says of where it comes from: "host", "cuda-event"."""
        ...

    def now(self) -> float:
        """Seconds on the host's clock, from any origin: what budgets and warm-up are counted in."""
        ...

    def synchronize(self) -> None:
        """Wait until the device has done everything asked of it so far."""
        ...

    def fitted(self, call: Call) -> tuple[Clock, str | None]:
        """The clock to believe for this call, and why, where it is another one than this."""
        ...

    def block(self, call: Call, spans: int, calls: int, before_span: Call | None = None) -> Block:
        """Time `spans` spans of `calls` calls; `before_span` runs untimed ahead of each."""
        ...

    def latencies(self, call: Call, count: int, before_call: Call | None = None) -> tuple[float, ...]:
        """Time single calls on the host's clock, synchronised on both sides."""
        ...

    def span(self) -> Callable[[], float]:
        """Begin a span around any code; what is returned ends it and says how many seconds it took."""
        ...


@runtime_checkable
class TimesItself(Protocol):
    """A call that knows itself when what was asked of it came: each token that it generates, for instance."""

    def gpuperf_clock(self, host: Clock) -> Clock:
        """What reads its figure off each call, where the session's clock would time all of it."""
        ...

    def gpuperf_figures(self, measured: Measurement) -> Measurement:
        """What was measured of it by that clock, with what only the call itself knows."""
        ...


def _nothing() -> None:
    """The host needs no synchronising with itself."""


@dataclass(frozen=True, slots=True)
class HostClock:
    """The monotonic clock of the host; it waits for the device where there is one."""

    device_synchronize: Callable[[], None] = _nothing
    timer: Callable[[], int] = perf_counter_ns  # nanoseconds
    name: str = "host"

    def now(self) -> float:
        return self.timer() * 1e-9

    def synchronize(self) -> None:
        self.device_synchronize()

    def fitted(self, call: Call) -> tuple[Clock, str | None]:  # noqa: ARG002 - every call can be timed by the host
        return self, None

    @with_room
    def block(self, call: Call, spans: int, calls: int, before_span: Call | None = None) -> Block:
        if calls == 1:
            return Block(self.latencies(call, spans, before_span))
        timer, synchronize = self.timer, self.device_synchronize
        samples: list[float] = []
        for _ in repeat(None, spans):
            if before_span is not None:
                before_span()
            synchronize()
            count = repeat(None, calls)
            start = timer()
            for _ in count:
                call()
            synchronize()
            stop = timer()
            samples.append(_seconds(stop - start) / calls)
        return Block(tuple(samples))

    @with_room
    def latencies(self, call: Call, count: int, before_call: Call | None = None) -> tuple[float, ...]:
        timer, synchronize = self.timer, self.device_synchronize
        samples: list[float] = []
        for _ in repeat(None, count):
            if before_call is not None:
                before_call()
            synchronize()
            start = timer()
            call()
            synchronize()
            stop = timer()
            samples.append(_seconds(stop - start))
        return tuple(samples)

    def span(self) -> Callable[[], float]:
        self.synchronize()
        start = self.timer()

        def stop() -> float:
            self.synchronize()
            return _seconds(self.timer() - start)

        return stop


def _seconds(ticks: int) -> float:
    # A coarse clock may not have moved: no call takes no time, so it took at most a tick.
    return max(ticks, 1) * 1e-9
