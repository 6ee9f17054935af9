"""The timer a test may use by itself: the fixture `cuda_timer`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import TypeVarTuple

from pytest_gpuperf.device.clocks import Clock
from pytest_gpuperf.errors import MeasurementError, UsageError
from pytest_gpuperf.measure.quiet import unwatched

Ts = TypeVarTuple("Ts")


class Span:
    """One timed stretch of work; it has a length once it has ended."""

    def __init__(self) -> None:
        self._seconds: float | None = None

    @property
    def seconds(self) -> float:
        """How long it took."""
        if self._seconds is None:
            raise MeasurementError("The span has not ended: read `seconds` after the `with` block.")
        return self._seconds


class CudaTimer:
    """Times code with CUDA events on the current stream; on the processor with the host's clock, and says so."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @property
    def clock(self) -> str:
        """The clock that is used: "cuda-event" or "host"."""
        return self._clock.name

    @contextmanager
    def __call__(self) -> Generator[Span]:
        """Time a `with` block. What raises in it is not timed."""
        span = Span()
        with unwatched():
            stop = self._clock.span()
            yield span
            span._seconds = stop()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    def time(self, fn: Callable[[*Ts], object], *args: *Ts, calls: int = 1) -> float:
        """Seconds per call of `calls` calls back to back. Warm up yourself where that matters."""
        if calls < 1:
            raise UsageError(f"calls={calls}: at least one call is timed.")
        with unwatched():
            return self._clock.block(partial(fn, *args), 1, calls).samples[0]
