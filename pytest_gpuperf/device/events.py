"""Timing by events on the device, and when not to believe them.

An event is a mark in a stream: it says when the work before it was done. Marks on one stream know nothing of work on
another, and marks on an idle stream time the host's launching rather than the device's work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from statistics import median
from typing import Protocol

from pytest_gpuperf.device.clocks import Block, Call, Clock, HostClock

_QUEUED = 64  # event pairs in flight: launch queues are bounded
_LONGEST_SPIN = 0.05
_SPIN_MARGIN = 20e-6
_PROBE_SECONDS = 1e-3
_PROBE_CALLS = 1024
_PROBES = 3
_SLACK = 0.05  # of the synchronised time, and
_SLACK_SECONDS = 50e-6  # one synchronisation of a busy machine
_LEAST_SHARE = 0.1  # of the synchronised time that events must account for


class Event(Protocol):
    """A mark in the current stream, as torch.cuda.Event is one."""

    def record(self) -> object:
        """Put the mark behind what was queued so far."""
        ...

    def synchronize(self) -> object:
        """Wait until the stream has come to the mark."""
        ...

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this mark to a later one."""
        ...


class Driver(Protocol):
    """What the clock asks of a device."""

    def event(self) -> Event:
        """A new mark."""
        ...

    def spin(self, seconds: float) -> None:
        """Queue a kernel that does nothing for about so long."""
        ...

    def synchronize(self) -> None:
        """Wait for all streams."""
        ...

    def ticks(self) -> int:
        """The host's clock in nanoseconds."""
        ...


@dataclass(frozen=True, slots=True)
class Launching:
    """How the host launches one call."""

    seconds: float  # until the call returns
    device_bound: bool  # the device takes longer over it than the host: the queue fills by itself


_UNKNOWN_CALL = Launching(100e-6, device_bound=False)


class CudaEventClock:
    """Events around each span on the workload's stream; one synchronisation a block."""

    name = "cuda-event"

    def __init__(self, driver: Driver, launching: Launching = _UNKNOWN_CALL) -> None:
        self._driver = driver
        self._launching = launching
        self._pairs: list[tuple[Event, Event]] = []  # reused: making an event costs more than recording it
        self._host = HostClock(driver.synchronize, driver.ticks)

    def now(self) -> float:
        return self._host.now()

    def synchronize(self) -> None:
        self._driver.synchronize()

    def fitted(self, call: Call) -> tuple[Clock, str | None]:
        """Compare the events with synchronised time, for this call.

        A call's launches and its work on the device, one after the other, are the longest that synchronised time may
        be: where it is longer, work ran that no event saw. A call that waits for another stream itself hides that work
        in its launching; then the events see next to nothing.
        """
        launching, synchronized, calls = self._probe(call)
        clock = CudaEventClock(self._driver, Launching(launching, device_bound=False))
        device = median(clock._queued(call, _PROBES, calls, None))
        unseen = synchronized - launching - device
        if unseen > _SLACK * synchronized + _SLACK_SECONDS / calls or device < _LEAST_SHARE * synchronized:
            note = (
                f"CUDA events saw {device / synchronized:.0%} of the synchronised time: the rest is on another stream, "
                f"or on the host. Timed by the host's clock instead."
            )
            return self._host, note
        return CudaEventClock(self._driver, Launching(launching, device_bound=launching < device)), None

    def block(self, call: Call, spans: int, calls: int, before_span: Call | None = None) -> Block:
        samples: list[float] = []
        for first in range(0, spans, _QUEUED):
            samples += self._queued(call, min(_QUEUED, spans - first), calls, before_span)
        # Back-to-back calls without a head start for the host: what throughput is. They would be warm ones.
        wall = None if before_span is not None else self._wall(call, max(calls, spans * calls // 4))
        return Block(tuple(samples), wall)

    def latencies(self, call: Call, count: int, before_call: Call | None = None) -> tuple[float, ...]:
        return self._host.latencies(call, count, before_call)

    def span(self) -> Callable[[], float]:
        """Without a head start: code that launches slowly is timed with its gaps."""
        self.synchronize()
        start, end = self._driver.event(), self._driver.event()
        start.record()

        def stop() -> float:
            end.record()
            end.synchronize()
            return _seconds(start, end)

        return stop

    def _queued(self, call: Call, spans: int, calls: int, before_span: Call | None) -> list[float]:
        """Spans behind a short spin kernel: the host stays ahead, so that no span holds a wait for the host.

        The spin ends by itself: a workload that synchronises inside waits for it and cannot deadlock.
        """
        while len(self._pairs) < spans:
            self._pairs.append((self._driver.event(), self._driver.event()))
        pairs = self._pairs[:spans]
        lead = min(_LONGEST_SPIN, _SPIN_MARGIN + 1.25 * calls * self._launching.seconds)
        self.synchronize()
        for number, (start, end) in enumerate(pairs):
            if before_span is not None:
                before_span()
            if number == 0 or not self._launching.device_bound:
                self._driver.spin(lead)
            start.record()
            for _ in repeat(None, calls):
                call()
            end.record()
        self.synchronize()
        return [_seconds(start, end) / calls for start, end in pairs]

    def _wall(self, call: Call, calls: int) -> float:
        stop = self._host.span()
        for _ in repeat(None, calls):
            call()
        return stop() / calls

    def _probe(self, call: Call) -> tuple[float, float, int]:
        """Seconds a call takes to return, seconds until its work is done, and how many calls that was measured with."""
        calls = 1
        while self._launched(call, calls)[1] * calls < _PROBE_SECONDS and calls < _PROBE_CALLS:
            calls *= 4
        probes = [self._launched(call, calls) for _ in range(_PROBES)]
        return median(p[0] for p in probes), median(p[1] for p in probes), calls

    def _launched(self, call: Call, calls: int) -> tuple[float, float]:
        self.synchronize()
        start = self.now()
        for _ in repeat(None, calls):
            call()
        returned = self.now()
        self.synchronize()
        return (returned - start) / calls, (self.now() - start) / calls


def _seconds(start: Event, end: Event) -> float:
    # A tick of an event is half a microsecond: what ended within one took at most that.
    return max(start.elapsed_time(end), 0.5e-3) * 1e-3
