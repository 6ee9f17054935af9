"""A real torch server in its own process: the protocol, batching, what it counts, its device, its failures."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import tritonclient.http as client
from served import gone, group
from tritonclient.utils import InferenceServerException

from pytest_gpuperf.errors import MissingError, ServerError, UsageError
from pytest_gpuperf.models import Built, Workload, load
from pytest_gpuperf.serving import starting
from pytest_gpuperf.serving.deployment import Deployment
from pytest_gpuperf.serving.faults import NULL_MODEL, failure, fault_of, round_trip
from pytest_gpuperf.serving.proof import look, prove


class Words(torch.nn.Module):
    """Looks words up, and weighs them: two inputs of two types, two outputs. It knows ten words."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(10, 4)

    def forward(self, words: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.table(words) * weights.unsqueeze(-1)
        return found.sum(1), words + 1


def draw(batch: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    return torch.randint(10, (batch, 3), generator=generator), torch.rand(batch, 3, generator=generator)


def words() -> Workload:
    torch.manual_seed(0)
    return Workload("words", "smoke", Built(Words().eval(), draw))


WORKLOAD = words()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    deployment = Deployment(instances=2, max_batch=16, queue_delay=0.02)
    server = starting.start_torch(WORKLOAD, deployment, folder=tmp_path_factory.mktemp("torch"), timeout=120)
    yield server
    server.stop()
    assert server.process.exit_code == 0, "it ends in good order"


def ask(url: str, given: list[np.ndarray], *, binary: bool = True, timeout: float = 30.0) -> list[np.ndarray]:
    with client.InferenceServerClient(url, network_timeout=timeout) as connection:
        inputs = []
        for index, array in enumerate(given):
            kind = "FP32" if array.dtype.kind == "f" else "INT64"
            inputs.append(client.InferInput(f"input_{index}", list(array.shape), kind))
            inputs[-1].set_data_from_numpy(array, binary_data=binary)
        outputs = [client.InferRequestedOutput(f"output_{n}", binary_data=binary) for n in range(2)]
        answer = connection.infer("words", inputs, outputs=outputs)
        return [answer.as_numpy(f"output_{n}") for n in range(2)]


def given(batch: int, seed: int = 0) -> list[np.ndarray]:
    return [tensor.numpy() for tensor in WORKLOAD.inputs(batch, seed)]


def assert_right(arrays: list[np.ndarray], answers: list[np.ndarray]) -> None:
    with torch.inference_mode():
        expected = WORKLOAD.module(*map(torch.from_numpy, arrays))
    for answer, wanted in zip(answers, expected, strict=True):
        assert answer.dtype == wanted.numpy().dtype
        np.testing.assert_allclose(answer, wanted.numpy(), rtol=1e-5)


def got(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("binary", [True, False])
def test_answers_are_the_model_s(served, binary):
    for batch in (1, 3, 16):
        assert_right(given(batch), ask(served.url, given(batch), binary=binary))


def test_many_at_once_are_computed_together_and_counted(served):
    requests = [given(1 + n % 2, n) for n in range(40)]
    before = look(served).counted
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda one: ask(served.url, one), requests))
    for one, answer in zip(requests, answers, strict=True):
        assert_right(one, answer)
    after = look(served).counted
    assert after.requests - before.requests == 40
    assert after.items - before.items == 60
    assert after.executions - before.executions < 40, "dynamic batching did not act"
    text = got(served.metrics_url)
    assert f'nv_inference_request_success{{model="words",version="1"}} {after.requests:.0f}' in text
    assert "gpuperf_decode_duration_us" in text


def test_what_a_client_asks_before_it_asks_for_an_answer(served):
    with client.InferenceServerClient(served.url) as connection:
        assert connection.is_server_live()
        assert connection.is_server_ready()
        assert connection.is_model_ready("words")
        assert connection.is_model_ready("words", "1")
        assert not connection.is_model_ready("others")
        assert connection.get_server_metadata()["name"] == "gpuperf-torch"
        assert connection.get_model_repository_index() == [{"name": "words", "version": "1", "state": "READY"}]
        assert [t["datatype"] for t in connection.get_model_metadata("words")["inputs"]] == ["INT64", "FP32"]
        batching = connection.get_model_config("words")["dynamic_batching"]
        assert batching == {"preferred_batch_size": [4, 8, 16], "max_queue_delay_microseconds": 20000}
        assert connection.get_inference_statistics("words")["model_stats"][0]["name"] == "words"
    assert round_trip(served).asked == NULL_MODEL


def test_its_device_is_known_and_proven(served):
    (replica,) = json.loads(got(f"http://{served.url}/gpu-info"))["replicas"]
    assert replica["device"] == "cpu"
    assert replica["parameter_bytes"] == {"cpu": 160}
    assert "gpuperf: words serves on cpu, torch" in served.log_tail()
    evidence = prove(served)
    ratings = {w.name: w.rating for w in evidence.witnesses}
    assert evidence.verdict == "proven"
    assert ratings["start-up log"] == ratings["parameters"] == ratings["outputs"] == "supports"


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        (lambda one: one[:1], "400", "words takes input_0, input_1; the request has input_0"),
        (lambda one: [one[0][:, :2], one[1]], "400", r"input 'input_0' is \[2, 2\]; words takes \['batch', 3\]"),
        (lambda one: [one[0][:1], one[1]], "400", "a request has 1 to 16 items, the same in every input"),
        (lambda one: [np.concatenate([a] * 9) for a in one], "400", "1 to 16 items"),
        (lambda one: [one[0] + 10, one[1]], "500", "IndexError: index out of range"),
    ],
)
def test_what_goes_wrong_is_the_client_s_answer_and_others_go_on(served, change, status, says):
    with pytest.raises(InferenceServerException, match=says) as raised:
        ask(served.url, change(given(2)))
    assert raised.value.status() == status
    assert fault_of(raised.value) == "status"
    assert_right(given(2), ask(served.url, given(2)))


def posted(url: str, path: str, content: bytes, **headers: str) -> tuple[int, str]:
    asked = urllib.request.Request(f"http://{url}{path}", content, {h.replace("_", "-"): v for h, v in headers.items()})
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def request_of(**changes) -> bytes:
    words, weights = given(1)
    inputs = [
        {"name": "input_0", "datatype": "INT64", "shape": [1, 3], "data": words.ravel().tolist()} | changes,
        {"name": "input_1", "datatype": "FP32", "shape": [1, 3], "data": weights.ravel().tolist()},
    ]
    return json.dumps({"inputs": inputs, "outputs": [{"name": changes.pop("wanted", "output_1")}]}).encode()


@pytest.mark.parametrize(
    ("content", "headers", "status", "says"),
    [
        (request_of(), {}, 200, '"output_1"'),
        (request_of(wanted="output_7"), {}, 400, "words gives output_0, output_1; the request wants output_7"),
        (request_of(datatype="INT8"), {}, 400, "input 'input_0' is INT8; words takes INT64"),
        (request_of(data=None), {}, 400, "its data are no"),
        (b"{}", {"Inference_Header_Content_Length": "9" * 5000}, 400, "and the body has 2 bytes"),
        (b"[" * 100_000, {}, 400, "the request is not JSON"),
        (b" " * 2**21, {}, 413, "a request has at most"),
    ],
    ids=["right", "output", "type", "null", "length", "nesting", "size"],
)
def test_a_wrong_request_is_told_what_is_wrong_with_it(served, content, headers, status, says):
    code, said = posted(served.url, "/v2/models/words/infer", content, **headers)
    assert code == status
    assert says in json.loads(said).get("error", said)
    assert "output_0" not in said or status != 200  # only what was asked for


def test_a_client_that_leaves_is_no_trouble(served):
    host, _, port = served.url.partition(":")
    with socket.create_connection((host, int(port))) as leaving:
        leaving.sendall(b"POST /v2/models/words/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert_right(given(2), ask(served.url, given(2)))
    assert "ClientDisconnect" not in served.log_tail()


def test_the_model_s_own_failure_stands_in_the_log(served):
    with pytest.raises(InferenceServerException):
        ask(served.url, [given(1)[0] + 10, given(1)[1]])
    assert "IndexError" in str(failure(served, "answering", ValueError("x")))


def test_an_unknown_path_says_what_there_is(served):
    with pytest.raises(urllib.error.HTTPError, match="404") as raised:
        got(f"http://{served.url}/v2/models/others")
    assert "the model is 'words'" in raised.value.read().decode()


def test_a_named_model_is_the_module_itself_and_hanging_it_is_a_fault_and_is_ended(tmp_path):
    workload = load("resnet50", "smoke", seed=3)
    server = starting.start_torch(workload, Deployment(batching=False), folder=tmp_path, timeout=180)
    everyone = group(server.process.pid)
    try:
        assert server.configuration["runtime"] == "torch"
        assert not list(tmp_path.rglob("*.pt2")), "it was made from its name and its seed"
        (images,) = workload.inputs(2)
        with client.InferenceServerClient(server.url, network_timeout=30.0) as connection:
            one = client.InferInput("input_0", list(images.shape), "FP32")
            one.set_data_from_numpy(images.numpy())
            with torch.inference_mode():
                expected = workload.module(images).numpy()
            np.testing.assert_allclose(connection.infer("resnet50", [one]).as_numpy("output_0"), expected, rtol=1e-3)
        os.kill(server.process.pid, signal.SIGSTOP)
        with (
            client.InferenceServerClient(server.url, network_timeout=0.3) as connection,
            pytest.raises(Exception, match="timed out") as raised,
        ):
            connection.infer("resnet50", [one])
        assert fault_of(raised.value) == "timeout"
        assert "no answer came in time" in str(failure(server, "answering", raised.value))
    finally:
        server.stop()
    assert gone(everyone)


def test_what_cannot_be_served_is_refused_before_anything_starts(tmp_path, monkeypatch):
    with pytest.raises(MissingError, match="TF32 is a format of NVIDIA"):
        starting.start_torch(WORKLOAD, Deployment(precision="tf32"), folder=tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "starlette", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "starlette" else name)
    with pytest.raises(
        MissingError, match=r"needs starlette. Install it with: pip install 'pytest-gpuperf\[serving\]'"
    ):
        starting.start_torch(WORKLOAD, Deployment(), folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["nonsense", "host:http", "https://host:8000", ":80"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(UsageError, match="Write HOST:PORT"):
        starting.remote("torch", url, "words")


def test_a_remote_server_that_does_not_answer_is_an_error():
    with pytest.raises(ServerError, match=r"at 127.0.0.1:9 does not answer: .*curl http://127.0.0.1:9/v2"):
        starting.remote("torch", "127.0.0.1:9", "words")


def test_a_remote_server(served):
    remote = starting.remote("torch", served.url, "words")
    assert remote.metrics_url == served.metrics_url
    assert remote.started is None
    assert remote.log_tail() == ""
    assert prove(remote).verdict == "contradicted", "a GPU is expected of it, and it says that it has none"
