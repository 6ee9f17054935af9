"""Which device a server computes on: from what it says and what it did to a verdict, and 0 % utilisation explained."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_gpuperf.measure.evidence import Request, diagnose_server
from pytest_gpuperf.serving.proof import Look, expected_of, judge
from pytest_gpuperf.serving.server import Server
from pytest_gpuperf.serving.statistics import Counters


def counted(requests: float, infer: float, executions: float | None = None) -> Counters:
    return Counters(
        source="stats",
        requests=requests,
        items=requests,
        executions=requests if executions is None else executions,
        queue=0.0,
        compute_input=0.0,
        compute_infer=infer,
        compute_output=0.0,
    )


def replicas(device: str, gpu_seconds: float = 0.0) -> dict[str, object]:
    place = {"device": device, "parameter_bytes": {device: 1000}, "outputs_on": device, "gpu_seconds": gpu_seconds}
    return {"replicas": [place]}


BEFORE = Look(counted=counted(10, 1.0), processor=5.0)
IDLE_HOST = Look(counted=counted(110, 11.0), processor=5.5)
BUSY_HOST = Look(counted=counted(110, 11.0), processor=15.0)
TRITON_GPU = replace(IDLE_HOST, kinds=("KIND_GPU",))


def verdict(expected, after, before=BEFORE):
    return judge(expected, before, after, 0.12).verdict


@pytest.mark.parametrize(
    ("expected", "after", "wanted"),
    [
        ("cuda", replace(IDLE_HOST, info=replicas("cuda:0", 3.0)), "proven"),
        ("cuda", replace(BUSY_HOST, info=replicas("cuda:0", 3.0)), "proven"),  # a host that spins says nothing
        ("cuda", replace(IDLE_HOST, info=replicas("cpu")), "contradicted"),
        ("cuda", TRITON_GPU, "proven"),  # told to, and its host waited meanwhile
        ("cuda", replace(BUSY_HOST, kinds=("KIND_GPU",)), "unknown"),
        ("cuda", replace(BUSY_HOST, kinds=("KIND_CPU",)), "contradicted"),
        # Two statements of how it was set up, and nothing that was observed of its work.
        ("cuda", replace(BUSY_HOST, kinds=("KIND_GPU",), devices_in_log=(("cuda:0", "torch"),)), "unknown"),
        ("cuda", replace(TRITON_GPU, devices_in_log=(("cuda:0", "torch"),)), "proven"),
        ("cuda", replace(TRITON_GPU, devices_in_log=(("cuda:0", "a"), ("cpu", "b"))), "contradicted"),
        ("cuda", replace(IDLE_HOST, kinds=("KIND_AUTO",)), "unknown"),
        ("cuda", Look(), "unknown"),  # a remote server that tells nothing
        ("cpu", BUSY_HOST, "proven"),
        ("cpu", IDLE_HOST, "unknown"),
        ("cpu", replace(BUSY_HOST, info=replicas("cuda:0", 3.0)), "contradicted"),
        ("cpu", replace(BUSY_HOST, kinds=("KIND_CPU",), info=replicas("cpu")), "proven"),
    ],
)
def test_verdicts(expected, after, wanted):
    assert verdict(expected, after) == wanted


def test_what_it_said_at_its_start_is_known_from_the_first_look():
    started = replace(BEFORE, devices_in_log=(("cuda:1", "ONNX Runtime 1.2, CUDAExecutionProvider"),))
    evidence = judge("cuda", started, TRITON_GPU, 0.12)
    assert evidence.verdict == "proven"
    assert "serves on cuda:1 (ONNX Runtime 1.2, CUDAExecutionProvider)" in [w.figure for w in evidence.witnesses]


def test_only_a_gpu_s_own_time_since_the_first_look_counts():
    before = replace(BEFORE, info=replicas("cuda:0", 3.0))
    names = [w.name for w in judge("cuda", before, replace(IDLE_HOST, info=replicas("cuda:0", 3.0)), 0.1).witnesses]
    assert "GPU time" not in names


def gpu(utilization: float, energy: float) -> dict[str, dict[str, float]]:
    return {"GPU-12345678": {"utilization": utilization, "energy_consumption": energy, "memory_used_bytes": 2**30}}


def test_metrics_of_the_whole_card_are_shown_and_decide_nothing():
    evidence = judge("cuda", Look(gpus=gpu(0.5, 100)), Look(gpus=gpu(0.7, 350)), None)
    (witness,) = evidence.witnesses
    assert (witness.rating, witness.figure) == ("says nothing", "GPU-12345678: 70% busy, 1.00 GiB in use, 250 J spent")
    assert evidence.verdict == "unknown"
    assert evidence.diagnosis is None
    assert judge("cuda", Look(), Look(gpus={"GPU-1": {}}), None).witnesses[0].name == "server"


@pytest.mark.parametrize(
    ("after", "latency", "says"),
    [
        (replace(BUSY_HOST, info=replicas("cpu")), 0.12, "CPU fallback: 83% of a request"),
        (replace(BUSY_HOST, info=replicas("cuda:0", 8.0)), 0.12, "samples missed: 83% of a request"),
        (IDLE_HOST, 0.12, "samples missed: 83% of a request"),
        (IDLE_HOST, 1.0, "waiting for the network or the front end: only 10%"),
        (replace(IDLE_HOST, counted=None), 0.12, "unknown: the server does not tell how long it computes"),
        (replace(IDLE_HOST, processor=None), 0.12, "unknown: 83% of a request"),
    ],
)
def test_zero_utilisation_is_explained_from_the_figures(after, latency, says):
    evidence = judge("cuda", BEFORE, replace(after, gpus=gpu(0.0, 0.0)), latency)
    assert evidence.diagnosis is not None
    assert evidence.diagnosis.startswith(says)


def test_a_batch_s_time_counts_once():
    after = Look(counted=counted(110, 81.0, executions=20), processor=7.5)  # ten batches of ten, 0.8 s each
    witness = judge("cpu", BEFORE, after, 1.0).witnesses[0]
    assert witness.figure == "busy for 31% of 8.00 s of computing"


@pytest.mark.parametrize("expected", ["cpu", "cuda"])
@pytest.mark.parametrize("processor", [5.0, 5.01])
def test_ticks_tell_nothing_of_a_millisecond(expected, processor):
    after = Look(counted=counted(11, 1.001), processor=processor)
    witness = judge(expected, BEFORE, after, None).witnesses[0]
    assert witness.rating == "says nothing"
    assert witness.figure.endswith("% of 1.00 ms of computing: too short to tell")


def test_a_request_that_took_no_time_is_no_division():
    assert diagnose_server(Request(latency=0.0, computing=0.0)).startswith("waiting for the network")


def test_a_server_that_runs_elsewhere_is_expected_to_have_a_gpu():
    assert expected_of(Server(name="s", kind="triton", url="h:1", model="m")) == "cuda"
    here = Server(name="s", kind="triton", url="h:1", model="m", configuration={"devices": ["cpu"]})
    assert expected_of(here) == "cpu"
