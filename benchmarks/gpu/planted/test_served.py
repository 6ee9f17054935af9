"""The torch server, asked by eight at once."""

import pytest

from pytest_gpuperf.serving.proof import look, prove

pytestmark = pytest.mark.gpu


def test_served(torch_server, gpuperf_load, gpuperf):
    scale = "smoke" if gpuperf.device == "cpu" else "full"
    server = torch_server("resnet50", scale=scale)
    load = gpuperf_load(server, "resnet50", concurrency=8, requests=221, name="eight")
    print("LOAD", load.requests_per_second, "requests/s, mean batch", load.mean_batch, load.verdict)
    print("LATENCY", load.latency)
    print("BREAKDOWN", load.breakdown)
    print("NOTES", load.notes)
    print("EVIDENCE", prove(server))
    print("INFO", look(server).info)
    assert not load.errors
    assert prove(server).verdict == "proven"
