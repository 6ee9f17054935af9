from __future__ import annotations

import pytest

from pytest_gpuperf.device.clocks import HostClock
from pytest_gpuperf.errors import MeasurementError, UsageError
from pytest_gpuperf.measure.timer import CudaTimer


class Ticks:
    def __init__(self) -> None:
        self.ns = 0

    def work(self, ns: int) -> None:
        self.ns += ns


@pytest.fixture
def ticks():
    return Ticks()


@pytest.fixture
def timer(ticks):
    return CudaTimer(HostClock(timer=lambda: ticks.ns))


def test_a_with_block(timer, ticks):
    ticks.work(10**9)
    with timer() as span:
        ticks.work(3000)
    ticks.work(10**9)
    assert span.seconds == pytest.approx(3e-6)
    assert timer.clock == "host"


def test_spans_may_lie_within_each_other(timer, ticks):
    with timer() as outer:
        ticks.work(1000)
        with timer() as inner:
            ticks.work(1000)
    assert (outer.seconds, inner.seconds) == (pytest.approx(2e-6), pytest.approx(1e-6))


def test_a_span_that_has_not_ended_has_no_length(timer):
    with timer() as span, pytest.raises(MeasurementError, match="after the `with` block"):
        _ = span.seconds


def test_what_raises_is_not_timed(timer):
    with pytest.raises(ZeroDivisionError), timer() as span:
        raise ZeroDivisionError
    with pytest.raises(MeasurementError):
        _ = span.seconds


@pytest.mark.parametrize("calls", [1, 7])
def test_seconds_per_call(timer, ticks, calls):
    assert timer.time(ticks.work, 5000, calls=calls) == pytest.approx(5e-6)
    assert ticks.ns == 5000 * calls


def test_at_least_one_call(timer, ticks):
    with pytest.raises(UsageError, match="calls=0"):
        timer.time(ticks.work, 1, calls=0)
