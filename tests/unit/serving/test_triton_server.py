"""A real Triton server: started from a wheel, right in every number, proven, killed, broken; and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import tritonclient.http as client
from served import gone, group, regions, require_triton
from small_net import small

from pytest_gpuperf.errors import ServerError
from pytest_gpuperf.serving import model_repository, starting, triton
from pytest_gpuperf.serving.deployment import Deployment
from pytest_gpuperf.serving.exchange import fetched
from pytest_gpuperf.serving.faults import NULL_MODEL, failure, fault_of, round_trip
from pytest_gpuperf.serving.proof import look, prove
from pytest_gpuperf.serving.server_process import PortTakenError, free_ports

WORKLOAD = small()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    require_triton()
    server = starting.start_triton(
        WORKLOAD, Deployment(instances=2, queue_delay=0.02), folder=tmp_path_factory.mktemp("triton"), timeout=120
    )
    yield server
    server.stop()


def ask(url: str, model: str, images: np.ndarray) -> np.ndarray:
    with client.InferenceServerClient(url) as connection:
        tensor = client.InferInput("input_0", list(images.shape), "FP32")
        tensor.set_data_from_numpy(images)
        return connection.infer(model, [tensor]).as_numpy("output_0")


def images(batch: int, seed: int) -> np.ndarray:
    return WORKLOAD.inputs(batch, seed)[0].numpy()


def expected(given: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return WORKLOAD.module(torch.from_numpy(given)).numpy()


def test_what_it_says_of_itself(served):
    assert (served.name, served.kind, served.model) == ("triton-onnx", "triton", "small")
    assert served.configuration["server"].startswith("triton 2.")
    assert served.configuration["backend"] == "python"
    assert served.started > 0
    assert served.local
    assert served.alive()
    assert "gpuperf: instance small_0_0 serves on cpu, ONNX Runtime" in served.log_tail(1000)
    assert "Traceback" not in served.log_tail(1000)


def test_many_at_once_get_each_their_own_right_answer_and_are_computed_together(served):
    given = [images(1 + n % 3, n) for n in range(48)]
    before = look(served)
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda one: ask(served.url, "small", one), given))
    for one, answer in zip(given, answers, strict=True):
        np.testing.assert_allclose(answer, expected(one), rtol=1e-4, atol=1e-5)
    after = look(served)
    assert after.counted.items - before.counted.items == sum(map(len, given))
    assert after.counted.executions - before.counted.executions < 48, "dynamic batching did not act"


def test_its_device_is_proven_by_its_log_and_its_instances(served):
    before = look(served)
    ask(served.url, "small", images(32, 0))
    assert prove(served, before=before).verdict == "unknown", "a millisecond of computing: less than a tick"
    computing = before.counted.compute_infer
    while look(served).counted.compute_infer < computing + 0.2:
        for n in range(50):
            ask(served.url, "small", images(32, n))
    evidence = prove(served, before=before)
    assert evidence.verdict == "proven"
    ratings = {w.name: w.rating for w in evidence.witnesses}
    assert ratings["start-up log"] == ratings["instance kind"] == "supports"


def test_the_empty_model_tells_the_way_there_and_back(served):
    assert round_trip(served).asked == NULL_MODEL


def test_a_remote_address_gives_the_same_server_and_leaves_it_running(served):
    remote = starting.remote("triton", f"http://{served.url}/", "small")
    assert (remote.name, remote.url, remote.local) == ("triton-remote", served.url, False)
    assert remote.configuration["config"]["instance_group"][0]["kind"] == "KIND_CPU"
    remote.stop()
    assert remote.alive()
    assert served.alive()
    with pytest.raises(ServerError, match=r"does not serve 'resnet50'(.|\n)*gpuperf triton model-repo resnet50"):
        starting.remote("triton", served.url, "resnet50")


def test_a_port_that_it_has_is_taken_for_another(served, tmp_path):
    with pytest.raises(PortTakenError, match="another process listens on its port"):
        starting.start_triton(WORKLOAD, Deployment(), folder=tmp_path, port=int(served.url.partition(":")[2]))


def test_killed_under_load_it_is_an_error_and_leaves_nothing(tmp_path):
    require_triton()
    server = starting.start_triton(WORKLOAD, Deployment(instances=2), folder=tmp_path, timeout=120)
    everyone = group(server.process.pid)
    assert len(everyone) >= 4, "the server, two instances and the empty model"
    faults = []

    def load(seed: int) -> None:
        try:
            while True:
                ask(server.url, "small", images(1, seed))
        except Exception as error:  # noqa: BLE001 - whatever the client saw
            faults.append(error)

    with ThreadPoolExecutor(4) as threads:
        for seed in range(4):
            threads.submit(load, seed)
        ask(server.url, "small", images(1, 9))
        os.kill(server.process.pid, signal.SIGKILL)
    assert {fault_of(error) for error in faults} <= {"disconnected", "refused"}
    assert gone([server.process.pid]), "the clients may notice before the kernel has ended every thread of it"
    assert not server.alive()
    error = failure(server, "under load", faults[0])
    assert "its process has ended" in str(error)
    assert "Started HTTPService" in str(error), "the server's last lines"
    server.stop()
    assert gone(everyone)
    assert not regions(f"gpuperf-{os.getpid()}-{server.url.partition(':')[2]}-")


def test_a_model_that_fails_to_load_says_why(tmp_path, monkeypatch):
    require_triton()
    broken = tmp_path / "model.py"
    broken.write_text("raise RuntimeError('no such weights')\n")
    monkeypatch.setattr(model_repository, "_MODEL", broken)
    with pytest.raises(ServerError, match="before it was ready") as raised:
        starting.start_triton(WORKLOAD, Deployment(), folder=tmp_path, timeout=60)
    assert "no such weights" in str(raised.value)


def test_one_that_is_never_ready_is_stopped(tmp_path, monkeypatch):
    require_triton()
    slow = tmp_path / "model.py"
    slow.write_text("import os, time\nprint('my pid', os.getpid(), flush=True)\ntime.sleep(600)\n")
    monkeypatch.setattr(model_repository, "_MODEL", slow)
    with pytest.raises(ServerError, match="was not ready in time: it runs"):
        starting.start_triton(WORKLOAD, Deployment(), folder=tmp_path, timeout=3)
    (log,) = tmp_path.glob("triton-*.log")
    (pid,) = [int(line.split()[-1]) for line in log.read_text().splitlines() if line.startswith("my pid")]
    assert gone([pid])


def test_what_is_typed_by_hand_serves_in_a_bare_shell(tmp_path):
    require_triton()
    found, folder = triton.find(), tmp_path / "models"
    model_repository.write(WORKLOAD, Deployment(), folder, found.backends)
    port = free_ports(1)[0]
    own = f"--http-port={port} --allow-grpc=false --allow-metrics=false --exit-timeout-secs=5"
    bare = {"PATH": "/usr/bin:/bin", "HOME": os.environ["HOME"]}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(["sh", "-c", f"exec env {found.by_hand(folder)} {own}"], env=bare, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while not ready(f"http://127.0.0.1:{port}/v2/models/small/ready"):
            assert (server.poll(), time.monotonic() < deadline) == (None, True), (tmp_path / "log").read_text()
            time.sleep(0.1)
        np.testing.assert_allclose(ask(f"127.0.0.1:{port}", "small", images(1, 1)), expected(images(1, 1)), rtol=1e-4)
    finally:
        server.terminate()
        server.wait(60)


def ready(url: str) -> bool:
    try:
        fetched(url, 1.0)
    except OSError:
        return False
    return True


def test_torch_in_triton_gives_the_model_s_numbers(tmp_path):
    require_triton()
    server = starting.start_triton(WORKLOAD, Deployment(runtime="torch"), folder=tmp_path, timeout=180)
    try:
        assert "serves on cpu, torch" in server.log_tail(1000)
        for batch in (1, 5):
            given = images(batch, batch)
            np.testing.assert_allclose(ask(server.url, "small", given), expected(given), rtol=1e-4, atol=1e-5)
    finally:
        server.stop()
