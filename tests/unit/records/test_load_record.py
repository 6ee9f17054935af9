"""What a load's record says of itself."""

from __future__ import annotations

import pytest
from loads import a_load

from pytest_gpuperf.records.latency import latency_of
from pytest_gpuperf.records.served_load import Client, RoundTrip, Window


def test_its_figures_are_of_the_windows_that_count():
    slow, quick = (Window(requests=10, seconds=s, latency=0.1) for s in (10.0, 1.0))
    load = a_load(windows=(slow, quick, quick, quick), counted=3, batch=8)
    assert (load.requests, load.seconds) == (30, 3.0)
    assert (load.requests_per_second, load.images_per_second) == (10.0, 80.0)
    assert load.stable


@pytest.mark.parametrize(("busy", "late", "limited"), [(0.4, 0.0, False), (0.6, 0.0, True), (0.1, 0.02, True)])
def test_a_client_may_be_what_limits(busy, late, limited):
    assert a_load(client=Client(processes=1, busy=busy, late=late, seconds=0.0)).client_limited is limited


@pytest.mark.parametrize(("growth", "overloaded"), [(None, False), (0.01, False), (0.2, True)])
def test_latency_that_grows_is_an_overload(growth, overloaded):
    held = Client(processes=1, busy=0.1, held=0.9, seconds=0.0)
    assert a_load(growth=growth, client=held, verdict="inconclusive").overloaded is overloaded


def test_an_overload_is_of_the_server():
    """Where nothing waited for a connection, or three windows agreed, nothing grew without end."""
    assert not a_load(growth=0.2, verdict="inconclusive").overloaded
    assert not a_load(growth=0.2, client=Client(processes=1, busy=0.1, held=0.9, seconds=0.0)).overloaded


@pytest.mark.parametrize(("trip", "share"), [(0.001, 0.2), (0.004, 0.8), (0.02, 1.0)])
def test_a_figure_of_the_network_is_known_as_one(trip, share):
    load = a_load(0.005, round_trip=RoundTrip(median=trip, low=trip, count=31, asked="gpuperf_null"))
    assert load.network_share == pytest.approx(share)
    assert load.network_bound is (share > 0.5)


def test_of_what_was_not_measured_nothing_is_said():
    assert a_load(round_trip=None).network_share is None
    assert not a_load(latency=latency_of([0.1] * 3)).network_bound


def test_from_arrays_to_arrays():
    load = a_load(0.005)
    assert load.end_to_end == pytest.approx(0.005 + 2e-5)
