"""Joules from readings: known traces, and every way a witness may fail. No clock and no device."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_gpuperf.device.energy import NO_WATTS, Readings, account
from pytest_gpuperf.device.readings import Missing

NO_COUNTER = Missing("unsupported", "this GPU has no counter")


def steady(watts: float = 200.0, *, start: float = 100.0, seconds: float = 6.0, period: float = 0.1) -> Readings:
    """A machine that draws 60 W until the start, and then as many watts as said."""
    end = start + seconds
    edge = end - 0.03  # the last edge before the end
    times = [start + 0.05 * i for i in range(1, int(seconds / 0.05))]
    return Readings(
        start=start,
        end=end,
        idle_watts=60.0,
        watts=[(t, watts) for t in times],
        joules=[(t, 1000 + watts * (t - start)) for t in times[:-2]],
        first=(start - 0.001, 1000 - 60 * 0.001),
        last=(edge, 1000 + watts * (edge - start)),
        slack=0.0005,
        period=period,
    )


def test_a_steady_load_is_counted_exactly() -> None:
    energy = account(steady())
    assert energy.joules == pytest.approx(1200.0)
    assert energy.mean_watts == pytest.approx(200.0)
    assert energy.peak_watts == 200.0
    assert energy.above_idle == pytest.approx(1200.0 - 60 * 6)
    assert energy.method == "energy counter"
    assert energy.notes == ()
    assert energy.uncertainty is not None
    assert energy.uncertainty < 0.001


@given(watts=st.floats(1, 1000), seconds=st.floats(0.5, 60))
def test_any_steady_load(watts: float, seconds: float) -> None:
    assert account(steady(watts, seconds=seconds)).joules == pytest.approx(watts * seconds, rel=1e-3)


def test_a_short_window_says_that_it_is_one() -> None:
    (note,) = account(steady(seconds=1.0)).notes
    assert "10 updates of the counter" in note
    assert account(steady(seconds=1.0, period=0.01)).notes == ()


def test_without_a_counter_watts_are_summed_and_the_method_says_so() -> None:
    energy = account(replace(steady(), first=NO_COUNTER))
    assert energy.joules == pytest.approx(1200.0)
    assert energy.method.startswith("watts sampled 119 times, without the counter (this GPU has no counter)")
    assert energy.uncertainty == 0
    lost = account(replace(steady(), last=Missing("permission", "no longer")))
    assert "no longer" in lost.method


def test_sampled_watts_follow_a_ramp() -> None:
    read = steady()
    ramp = [(t, 50 * (t - read.start)) for t, _ in read.watts]
    energy = account(replace(read, watts=ramp, first=NO_COUNTER))
    assert energy.joules == pytest.approx(50 * 6 * 6 / 2, rel=0.01)
    assert energy.peak_watts == pytest.approx(50 * 5.95)


def test_samples_from_before_and_after_the_window_serve_its_ends() -> None:
    read = steady()
    around = [(read.start - 0.05, 200.0), (read.start, 200.0), *read.watts, (read.end + 0.05, 200.0)]
    assert account(replace(read, watts=around, first=NO_COUNTER)).joules == pytest.approx(1200.0)


def test_with_neither_witness_there_is_a_reason_and_no_zero() -> None:
    energy = account(replace(steady(), first=NO_COUNTER, watts=[]))
    assert energy.joules == NO_COUNTER
    assert energy.above_idle == NO_COUNTER
    assert energy.mean_watts == NO_COUNTER
    assert energy.peak_watts == NO_WATTS
    assert energy.uncertainty is None


def test_the_counter_alone_is_enough() -> None:
    energy = account(replace(steady(), watts=[], idle_watts=NO_WATTS))
    assert energy.joules == pytest.approx(1200.0, rel=1e-3)
    assert energy.peak_watts == NO_WATTS
    assert energy.above_idle == NO_WATTS


def test_a_card_that_took_nothing_has_a_peak_of_nothing() -> None:
    read = steady()
    assert account(replace(read, watts=[(t, 0.0) for t, _ in read.watts])).peak_watts == 0.0


def test_a_reset_is_bridged_by_sampled_watts() -> None:
    read = steady()
    reset = read.start + 3.0
    joules = [(t, j if t < reset else 200 * (t - reset)) for t, j in read.joules]
    last = (read.last[0], 200 * (read.last[0] - reset))  # type: ignore[index]
    energy = account(replace(read, joules=joules, last=last))
    assert energy.joules == pytest.approx(1200.0, rel=0.002)
    assert energy.method == "energy counter, 1 reset(s) bridged by sampled watts"
    assert energy.uncertainty is not None
    assert energy.uncertainty > 0.01
    unsampled = account(replace(read, joules=joules, last=last, watts=[]))
    assert unsampled.joules == pytest.approx(1200.0, rel=0.002)


def test_a_reset_that_leaves_nothing_counted_is_bridged_all_the_same() -> None:
    read = replace(steady(seconds=0.2), joules=[], last=(100.17, 5.0))
    assert account(read).joules == pytest.approx(40.0, rel=0.02)


def test_a_counter_that_wraps_is_no_reset() -> None:
    read = steady()
    wrapped = [(t, j - 1600 if j >= 1600 else j) for t, j in read.joules]
    last = (read.last[0], read.last[1] - 1600)  # type: ignore[index]
    energy = account(replace(read, joules=wrapped, last=last, wraps_at=1600.0))
    assert energy.joules == pytest.approx(1200.0)
    assert energy.method == "energy counter"


def test_two_witnesses_that_disagree_are_both_named() -> None:
    read = steady()
    notes = account(replace(read, watts=[(t, 120.0) for t, _ in read.watts])).notes
    assert any("1199.2 J" in note or "1197.6 J" in note for note in notes), notes
    assert any("720.0 J" in note for note in notes), notes


def test_a_card_that_draws_nothing_is_no_division_by_zero() -> None:
    read = steady(0.0)
    energy = account(replace(read, idle_watts=0.0, first=(read.start, 1000.0)))
    assert energy.joules == 0
    assert energy.uncertainty is not None
