"""Power and energy over a window of the user's own: the fixture `gpu_power`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Thread
from time import monotonic, sleep
from typing import Self

from pytest_gpuperf.device.counter import Edge, Meter, next_edge, probe_period
from pytest_gpuperf.device.energy import Energy, Point, Readings, account
from pytest_gpuperf.device.readings import Missing, Reading, T
from pytest_gpuperf.errors import UnavailableError

INTERVAL = 0.1  # seconds between two samples: more would be felt by a workload of Python, and watts move no faster
IDLE_SECONDS = 0.45
_REFUSED_EVERY = 10  # samples: once a second, look for other processes on the device


class Sampler:
    """Reads watts and the counter beside the work, on a thread of its own."""

    def __init__(self, meter: Meter, interval: float = INTERVAL) -> None:
        self.watts: list[Point] = []
        self.joules: list[Point] = []
        self.no_watts: Missing | None = None
        self.refused: Missing | None = None
        self._meter = meter
        self._interval = interval
        self._ended = Event()
        self._thread = Thread(target=self._run, name="gpuperf-power", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._ended.wait(self._interval):
            self._sample()
            number += 1
            if number % _REFUSED_EVERY == 0 and self.refused is None:
                self.refused = self._meter.refused()

    def _sample(self) -> None:
        # The time before the reading: what comes after it may wait for the interpreter's lock.
        at = monotonic()
        watts = self._meter.power()
        if isinstance(watts, Missing):
            self.no_watts = watts
        else:
            self.watts.append((at, watts))
        at = monotonic()
        joules = self._meter.energy()
        if not isinstance(joules, Missing):
            self.joules.append((at, joules))


class PowerWindow:
    """One window. It has figures once it has ended; what could not be measured raises, with the reason."""

    def __init__(self) -> None:
        self._energy: Energy | None = None

    def __repr__(self) -> str:
        return f"PowerWindow({'not ended' if self._energy is None else self._energy})"

    @property
    def energy(self) -> Energy:
        """Everything, with reasons instead of what is missing."""
        if self._energy is None:
            raise UnavailableError("The window has not ended: read its figures after the `with` block.")
        return self._energy

    @property
    def seconds(self) -> float:
        return self.energy.seconds

    @property
    def joules(self) -> float:
        return _needed("energy", self.energy.joules)

    @property
    def joules_above_idle(self) -> float:
        """Without what the device takes when it does nothing."""
        return _needed("energy above idle", self.energy.above_idle)

    @property
    def mean_watts(self) -> float:
        return _needed("mean power", self.energy.mean_watts)

    @property
    def peak_watts(self) -> float:
        """The largest of the sampled watts."""
        return _needed("peak power", self.energy.peak_watts)

    @property
    def idle_watts(self) -> float:
        """Watts just before the window, with nothing queued."""
        return _needed("idle power", self.energy.idle_watts)

    @property
    def method(self) -> str:
        """How the joules were measured."""
        return self.energy.method

    @property
    def uncertainty(self) -> float | None:
        """How wrong the joules may be, relative; None where there are none."""
        return self.energy.uncertainty

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before relying on the figures."""
        return self.energy.notes


class GpuPower:
    """Measures windows on one device."""

    def __init__(self, meter: Meter, synchronize: Callable[[], None] = lambda: None) -> None:
        self._meter = meter
        self._synchronize = synchronize
        self._period: Reading[float] | None = None

    @property
    def period(self) -> Reading[float]:
        """Seconds between two updates of the counter; probed once."""
        if self._period is None:
            self._period = probe_period(self._meter)
        return self._period

    def counter(self) -> Reading[float]:
        """The counter now."""
        return self._meter.energy()

    def watts(self) -> Reading[float]:
        """Watts now."""
        return self._meter.power()

    @contextmanager
    def __call__(self) -> Generator[PowerWindow]:
        """Measure a `with` block. It begins when the device is idle and its counter has just moved."""
        window = PowerWindow()
        refused = self._meter.refused()
        if refused is not None:
            start = monotonic()
            yield window
            window._energy = _refused(refused, monotonic() - start)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            return
        self._synchronize()
        period = self.period
        with Sampler(self._meter) as sampler:
            sleep(IDLE_SECONDS)
            idle = _mean(sampler)
            first = period if isinstance(period, Missing) else next_edge(self._meter, period)
            start = monotonic()
            yield window
            self._synchronize()
            end = monotonic()
            held = self._meter.energy()
            # The very next movement, however sharply it is seen: a later one says nothing of what is held.
            last = period if isinstance(period, Missing) else next_edge(self._meter)
        energy = account(_readings(start, end, idle, sampler, period, first, held, last, self._meter))
        refused = sampler.refused or self._meter.refused()
        if refused is not None:
            energy = _refused(refused, energy.seconds)
        window._energy = energy  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _mean(sampler: Sampler) -> Reading[float]:
    watts = [w for _, w in sampler.watts]
    if watts:
        return sum(watts) / len(watts)
    return sampler.no_watts or Missing("failed", "no watts were sampled before the window")


def _readings(
    start: float,
    end: float,
    idle: Reading[float],
    sampler: Sampler,
    period: Reading[float],
    first: Reading[Edge],
    held: Reading[float],
    last: Reading[Edge],
    meter: Meter,
) -> Readings:
    read = Readings(
        start=start,
        end=end,
        idle_watts=idle,
        watts=sampler.watts,
        joules=sampler.joules,
        first=first if isinstance(first, Missing) else (first.at, first.joules),
        last=_first_missing(held, last) or Missing("failed", "unknown"),
        wraps_at=meter.wraps_at,
    )
    if sampler.no_watts is not None:
        read = replace(read, unsampled=sampler.no_watts)
    if not isinstance(period, Missing) and not isinstance(last, Missing) and not isinstance(held, Missing):
        # The counter came to its value at the end one period before it moved again.
        slack = last.slack + (0.0 if isinstance(first, Missing) else first.slack)
        read = replace(read, last=(last.at - period, held), slack=slack / 2, period=period)
    return read


def _first_missing(*readings: Reading[object]) -> Missing | None:
    return next((r for r in readings if isinstance(r, Missing)), None)


def _refused(why: Missing, seconds: float) -> Energy:
    return Energy(seconds, why, why, why, why, "none", None)


def _needed(what: str, reading: Reading[T]) -> T:
    if isinstance(reading, Missing):
        raise UnavailableError(f"{what} is not available: {reading.reason}")
    return reading
