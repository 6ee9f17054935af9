"""Timing by events on the device, and when not to believe them.

An event is a mark in a stream: it says when the work before it was done. Marks on one stream know nothing of work on
another, and marks on an idle stream time the host's launching rather than the device's work. So a span is queued behind
a kernel that spins, and its lead is proven: when its end was queued, the device had not come to its start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from math import ceil
from statistics import median
from typing import Protocol

from pytest_gpuperf.device.clocks import Block, Call, Clock, HostClock, with_room

_QUEUED = 64  # event pairs in flight: launch queues are bounded
_LONGEST_SPIN = 0.05
_SPIN_MARGIN = 20e-6
_TRIES = 4  # for a span whose lead was too short, each with twice the lead
_PROVEN = 0.5  # of a few spans: a call of which fewer have a lead will hardly ever have one
_WAITED = 0.5  # of a lead that a call can only have lost by waiting for the device
_BACK_TO_BACK = 5e-3  # seconds of calls that throughput is taken over, or ...
_BACK_TO_BACK_CALLS = 10
_PROBE_SECONDS = 1e-3
_PROBE_CALLS = 1024
_PROBES = 3
_SLACK = 0.05  # of the synchronised time, and
_SLACK_SECONDS = 50e-6  # one synchronisation of a busy machine
_LEAST_SHARE = 0.02  # of the synchronised time that events must account for: a slow host leaves its device 10 %


class Event(Protocol):
    """A mark in the current stream, as torch.cuda.Event is one."""

    def record(self) -> object:
        """Put the mark behind what was queued so far."""
        ...

    def synchronize(self) -> object:
        """Wait until the stream has come to the mark."""
        ...

    def query(self) -> bool:
        """Whether the stream has come to the mark."""
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


@dataclass(frozen=True, slots=True)
class _Span:
    """Seconds a call, and whether the device had not begun it when all of it was queued."""

    seconds: float
    is_led: bool


_UNKNOWN_CALL = Launching(100e-6, device_bound=False)


class CudaEventClock:
    """Events around each span on the workload's stream; one synchronisation a block."""

    name = "cuda-event"

    def __init__(self, driver: Driver, launching: Launching = _UNKNOWN_CALL) -> None:
        self._driver = driver
        self._launching = launching
        self._longer = 1.0  # factor of the lead: doubled where it was too short
        self._pairs: list[tuple[Event, Event]] = []  # reused: making an event costs more than recording it
        self._host = HostClock(driver.synchronize, driver.ticks)

    def now(self) -> float:
        return self._host.now()

    def synchronize(self) -> None:
        self._driver.synchronize()

    @with_room
    def fitted(self, call: Call) -> tuple[Clock, str | None]:
        """Compare the events with synchronised time, for this call.

        A call's launches and its work on the device, one after the other, are the longest that synchronised time may
        be: where it is longer, work ran that no event saw. A call that waits for another stream itself hides that work
        in its launching; then the events see next to nothing. A call that waits for the device has the host's gaps
        between its events, and so has one whose launches the device overtakes.
        """
        launching, synchronized, calls = self._probe(call)
        if self._waits(call, launching):
            return self._host, "The call waits for the device before it returns. Timed by the host's clock instead."
        clock = CudaEventClock(self._driver, Launching(launching, device_bound=False))
        spans = clock._led(call, _PROBES, calls, None)
        if sum(span.is_led for span in spans) < _PROVEN * len(spans):
            note = (
                "The device overtook the host within the call, whatever its head start: events would time the "
                "host's gaps too. Timed by the host's clock instead."
            )
            return self._host, note
        device = median(span.seconds for span in spans)
        remainder = synchronized - launching - device
        if remainder > _SLACK * synchronized + _SLACK_SECONDS / calls or device < _LEAST_SHARE * synchronized:
            note = (
                f"CUDA events saw {device / synchronized:.0%} of the synchronised time: the rest is on another stream, "
                f"or on the host. Timed by the host's clock instead."
            )
            return self._host, note
        return CudaEventClock(self._driver, Launching(launching, device_bound=launching < device)), None

    @with_room
    def block(self, call: Call, spans: int, calls: int, before_span: Call | None = None) -> Block:
        samples: list[float] = []
        for first in range(0, spans, _QUEUED):
            led = self._led(call, min(_QUEUED, spans - first), calls, before_span)
            samples += [span.seconds for span in led if span.is_led]
        if not samples:
            return Block(self._host.block(call, spans, calls, before_span).samples, proven=False)
        # Back-to-back calls without a head start for the host: what throughput is. They would be warm ones.
        wall = None if before_span is not None else self._wall(call, max(spans * calls // 4, self._enough(samples)))
        return Block(tuple(samples), wall)

    def _enough(self, samples: Sequence[float]) -> int:
        """Calls back to back beside which one synchronisation counts little."""
        each = max(median(samples), self._launching.seconds)
        return min(_BACK_TO_BACK_CALLS, ceil(_BACK_TO_BACK / each))

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

    def _led(self, call: Call, spans: int, calls: int, before_span: Call | None) -> list[_Span]:
        """Spans, of which those without a lead are taken again."""
        longer = self._longer
        found = self._queued(call, spans, calls, before_span, longer)
        first = wanting = [number for number, span in enumerate(found) if not span.is_led]
        for _ in range(_TRIES):
            if not wanting:
                break
            longer *= 2
            again = self._queued(call, len(wanting), calls, before_span, longer)
            for number, span in zip(wanting, again, strict=True):
                found[number] = span
            wanting = [number for number in wanting if not found[number].is_led]
        if 2 * len(first) > spans:  # else the machine held the host up once, and need not do so again
            self._longer = longer
        return found

    def _lead(self, calls: int, longer: float) -> float:
        return min(_LONGEST_SPIN, _SPIN_MARGIN + longer * 1.25 * calls * self._launching.seconds)

    def _queued(self, call: Call, spans: int, calls: int, before_span: Call | None, longer: float) -> list[_Span]:
        """Spans behind a short spin kernel: the host stays ahead, so that no span holds a wait for the host.

        The spin ends by itself: a workload that synchronises inside waits for it and cannot deadlock.
        """
        while len(self._pairs) < spans:
            self._pairs.append((self._driver.event(), self._driver.event()))
        pairs = self._pairs[:spans]
        lead = self._lead(calls, longer)
        led: list[bool] = []
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
            led.append(not start.query())
        self.synchronize()
        return [_Span(_seconds(*pair) / calls, had) for pair, had in zip(pairs, led, strict=True)]

    def _wall(self, call: Call, calls: int) -> float:
        stop = self._host.span()
        for _ in repeat(None, calls):
            call()
        return stop() / calls

    def _waits(self, call: Call, launching: float) -> bool:
        """Whether the call waits for the device: behind a spin it returns as much later as it had to wait."""
        lead = min(_LONGEST_SPIN, _PROBE_SECONDS + 2 * launching)
        held: list[float] = []
        for _ in range(_PROBES):
            self.synchronize()
            self._driver.spin(lead)
            start = self.now()
            call()
            held.append(self.now() - start - launching)
            self.synchronize()
        return min(held) > max(_WAITED * (lead - launching), _WAITED / 2 * lead)

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
