"""Loads of a server whose capacity is known: what queueing must give is what is reported."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scripted_server import WIDTH, scripted

from pytest_gpuperf.errors import ServerError, UsageError
from pytest_gpuperf.serving.load_server import LoadPlan, load_server
from pytest_gpuperf.serving.windows import growth
from pytest_gpuperf.serving.worker import ROW

X = [np.arange(WIDTH, dtype=np.float32)[None]]
SERVICE = 0.004  # seconds
QUICK = {"requests": 30, "window_seconds": 0.1, "timeout": 5.0, "processes": 1}


def loaded(handle, inputs=None, **changes):
    return load_server(handle, inputs or X, LoadPlan(**{**QUICK, **changes}))


def test_a_closed_loop_keeps_so_many_requests_in_flight():
    with scripted(service=SERVICE) as (_, handle):
        load = loaded(handle, concurrency=4).load
    # Little's law holds on any machine: rate x latency = requests in flight.
    assert load.requests_per_second * load.latency.mean == pytest.approx(4, rel=0.15)
    assert load.requests_per_second < 1 / SERVICE
    assert load.requests >= 3 * QUICK["requests"]
    assert load.arrivals == "closed"
    assert (load.from_schedule, load.growth, load.offered) == (None, None, None)


def test_several_processes_share_the_connections():
    plan = LoadPlan(concurrency=5, processes=3)
    assert plan.shares == [2, 2, 1]
    assert LoadPlan(concurrency=2, processes=8).shares == [1, 1]
    with scripted(service=SERVICE) as (_, handle):
        load = loaded(handle, concurrency=4, processes=2).load
    assert load.client.processes == 2
    assert load.requests_per_second * load.latency.mean == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("arrivals", ["poisson", "constant"])
def test_an_open_loop_below_capacity_offers_what_it_was_asked_for(arrivals):
    with scripted(service=SERVICE) as (_, handle):
        load = loaded(handle, concurrency=16, rate=120.0, arrivals=arrivals).load
    assert load.requests_per_second == pytest.approx(120, rel=0.35)
    assert load.from_schedule.mean >= load.latency.mean
    assert not load.overloaded


def test_beyond_capacity_the_wait_grows_from_the_schedule_and_not_from_sending():
    with scripted(service=SERVICE) as (_, handle):
        capacity = loaded(handle, concurrency=4).load.requests_per_second
        load = loaded(handle, concurrency=4, rate=1.5 * capacity, arrivals="constant").load
    assert load.overloaded
    assert not load.stable
    assert load.growth > 0.1
    assert load.from_schedule.mean > 2 * load.latency.mean
    assert load.requests_per_second * load.latency.mean == pytest.approx(4, rel=0.15)
    assert load.client.held > 0.5
    assert load.client.late < 0.5  # it was the server that could not, and not the client


@pytest.mark.parametrize("offered", [1.0, 1.2, 2.0])
def test_what_waits_grows_by_as_much_as_is_offered_too_much(offered):
    due = np.arange(1000) * 1e9 / offered
    done = np.arange(1, 1001) * 1e9  # one a second
    rows = np.zeros((1000, len(ROW)), np.int64)
    rows[:, ROW.index("due")], rows[:, ROW.index("done")] = due, done
    assert growth(rows) == pytest.approx(offered - 1, abs=1e-6)
    assert growth(rows[:1]) == 0


def test_numbers_written_out_are_bigger_and_dearer():
    wide = [np.random.default_rng(0).standard_normal((200, WIDTH)).astype(np.float32)]
    with scripted() as (_, handle):
        binary, text = (loaded(handle, wide, concurrency=2, protocol=p, batch=200).load for p in ("binary", "json"))
    assert text.wire.request_bytes > 3 * binary.wire.request_bytes
    assert text.wire.response_bytes > 3 * binary.wire.response_bytes
    assert text.wire.serialise > binary.wire.serialise
    assert text.end_to_end > text.latency.mean
    assert text.images_per_second == 200 * text.requests_per_second
    assert not text.errors


def test_where_the_time_went_comes_from_the_servers_counters():
    with scripted(service=SERVICE) as (_, handle):
        load = loaded(handle, concurrency=2).load
    parts = load.breakdown
    assert parts.compute_infer == pytest.approx(SERVICE, rel=0.02)
    assert parts.remainder == pytest.approx(load.latency.mean - SERVICE, rel=0.05)
    assert load.mean_batch == pytest.approx(2, rel=0.05)
    assert load.round_trip.asked == "/v2/health/live"
    assert load.round_trip.median < load.latency.mean


def test_a_server_that_tells_nothing_is_not_guessed_about():
    with scripted(service=SERVICE, silent=True) as (_, handle):
        load = loaded(handle, concurrency=2).load
    assert (load.breakdown, load.mean_batch) == (None, None)


def test_a_server_that_closes_connections_is_connected_to_anew():
    with scripted(service=0.001, closing=True) as (_, handle):
        assert not loaded(handle, concurrency=2).load.errors


def test_the_measurement_is_what_the_gate_judges():
    with scripted(service=SERVICE) as (_, handle):
        done = loaded(handle, concurrency=4, batch=3)
    measured = done.measurement("one")
    assert measured.clock == "host"
    assert measured.throughput == pytest.approx(done.load.images_per_second, rel=0.1)
    assert len(measured.samples) >= 16
    assert measured.latency.count == done.load.requests
    assert measured.load is done.load


FAULTS = {
    "500": "status",
    "drop": "disconnected",
    "wrong shape": "wrong shape",
    "wrong dtype": "wrong dtype",
    "garbage": "unreadable",
    "hang": "timeout",
}


@pytest.mark.parametrize("what", FAULTS)
def test_faults_are_counted_by_kind(what):
    with scripted(lambda n: what if n % 40 == 20 else "ok", service=0.001) as (_, handle):
        load = loaded(handle, concurrency=4, timeout=0.3).load
    assert set(load.errors) == {FAULTS[what]}
    assert load.notes[0].startswith(FAULTS[what])
    assert load.requests >= 3 * QUICK["requests"]


@pytest.mark.parametrize("what", ["500", "drop", "wrong shape"])
def test_a_server_that_only_fails_is_an_error(what):
    with (
        scripted(lambda n: what if n > 60 else "ok", service=0.001) as (_, handle),
        pytest.raises(ServerError, match=FAULTS[what]),
    ):
        loaded(handle, concurrency=2)


def test_a_server_that_is_gone_in_the_middle_is_an_error():
    with scripted(service=0.001) as (server, handle):

        def script(number: int) -> str:
            if number == 60:
                server.socket.close()
            return "drop" if number >= 60 else "ok"

        server.script = script
        with pytest.raises(ServerError, match="refused"):
            loaded(handle, concurrency=2)


def test_a_server_that_is_not_there_is_an_error():
    with scripted() as (_, handle):
        pass
    with pytest.raises(ServerError, match="refused"):
        loaded(handle)


def test_a_model_that_is_not_served_is_an_error():
    with scripted() as (_, handle), pytest.raises(ServerError, match=r"telling about the model 'none'.*no such path"):
        loaded(replace(handle, model="none"))


def test_a_first_answer_that_is_an_error_is_one():
    with scripted(lambda _: "500") as (_, handle), pytest.raises(ServerError, match=r"status.*out of luck"):
        loaded(handle)


def test_metrics_stand_in_for_statistics():
    with scripted(service=SERVICE, silent=True) as (_, handle):
        metrics = replace(handle, metrics_url=f"http://{handle.url}/metrics")
        load = loaded(metrics, concurrency=2).load
        assert load.breakdown.source == "/metrics"
        assert load.breakdown.compute_infer == pytest.approx(SERVICE, rel=0.02)
        assert load.mean_batch == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([*X, *X], "takes 1 input and got 2"),
        (X[0], "sends a list of arrays, one for each input of the model, and not one ndarray"),
        ({"input_0": X[0]}, "and not one dict"),
        (["words"], "The input 'x' of .* takes an array of FP32, and a str cannot become one"),
    ],
)
def test_a_model_that_takes_other_inputs_is_an_error(inputs, said):
    with scripted() as (_, handle), pytest.raises(UsageError, match=said):
        load_server(handle, inputs, LoadPlan(**QUICK))


@pytest.mark.parametrize(
    "changes",
    [
        {"concurrency": 0},
        {"requests": 0},
        {"batch": 0},
        {"rate": 0.0},
        {"rate": 2e6},
        {"processes": 0},
        {"timeout": 0.0},
    ],
)
def test_a_load_of_nothing_is_refused(changes):
    with pytest.raises(UsageError, match=next(iter(changes))):
        LoadPlan(**changes)
