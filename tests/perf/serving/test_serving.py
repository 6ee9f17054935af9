"""The serving suite: a torch server and Triton under the loads of a study, gated like any other case.

pytest tests/perf/serving --gpuperf-device cpu            small models, on a laptop
pytest tests/perf/serving --gpuperf-triton-url HOST:PORT  a server that runs already
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("protocol", ["binary", "json"])
@pytest.mark.parametrize("batch", [1, 4, 8, 16, 32])
def test_one_at_a_time(gpuperf_load, server, workload, batch, protocol):
    load = gpuperf_load(server, workload, batch=batch, concurrency=1, requests=22, protocol=protocol)

    assert not load.errors


@pytest.mark.parametrize("concurrency", [4, 16])
def test_many_at_once(gpuperf_load, server, workload, concurrency):
    load = gpuperf_load(server, workload, concurrency=concurrency, requests=221)

    assert not load.errors
    assert not load.client_limited  # else these are figures of the client ...
    assert not load.network_bound  # ... or of the network
    assert load.mean_batch > 1  # dynamic batching is seen to work


def test_half_of_what_it_can_do(gpuperf_load, server, workload):
    most = gpuperf_load(server, workload, concurrency=16)
    load = gpuperf_load(server, workload, concurrency=64, rate=most.requests_per_second / 2, name="half")

    assert not load.overloaded
