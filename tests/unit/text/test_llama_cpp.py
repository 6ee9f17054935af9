"""llama.cpp's real server in its own process: it answers, it ends, and what goes wrong is one message."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys

import pytest
from openai_client import asked, chunks, require, tokens_of
from served import gone, group

from pytest_gpuperf.errors import MissingError, ServerError, UsageError
from pytest_gpuperf.serving.exchange import fetched
from pytest_gpuperf.serving.server_process import HOST, PortTakenError
from pytest_gpuperf.text.served.llama_cpp import devices_for, start_llama_cpp
from pytest_gpuperf.text.served.tiny_gguf import write_tiny

HELLO = [{"role": "user", "content": "hello"}]
ALL = {"ignore_eos": True, "max_tokens": 12}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    require("xllamacpp", "gguf")
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture(scope="module")
def served(model, tmp_path_factory):
    server = start_llama_cpp(model, folder=tmp_path_factory.mktemp("server"), parallel=2, context=256, device="cpu")
    yield server
    server.stop()


def test_it_says_what_it_is_and_how_it_serves(served):
    assert (served.name, served.kind, served.path, served.secure) == ("llama.cpp", "openai", "/v1", False)
    assert served.model == "tiny", "and no path of this machine"
    assert served.alive()
    assert served.started > 0
    known = dict(served.configuration)
    assert known.pop("server").startswith("llama.cpp (xllamacpp 20")
    assert known == {"file": "tiny.gguf", "parallel": 2, "context": 256, "threads": 1, "devices": ["cpu"]}
    assert "gpuperf: tiny serves on cpu" in served.log_tail()


def test_it_answers_whole_and_as_a_stream(served):
    assert tokens_of(served, "/chat/completions", messages=HELLO, **ALL) == 12
    assert tokens_of(served, "/completions", prompt="hello", **ALL) == 12
    chat = chunks(asked(served, "/chat/completions", messages=HELLO, stream=True, **ALL))
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chat)
    assert [c["choices"][0]["finish_reason"] for c in chat][-1] == "length"
    plain = chunks(asked(served, "/completions", prompt=[5, 6, 7], stream=True, **ALL))
    assert plain[-1]["usage"]["completion_tokens"] == 12
    assert plain[-1]["usage"]["prompt_tokens"] == 3


def test_its_metrics_are_counted(served):
    def generated() -> float:
        (line,) = [
            line
            for line in fetched(served.metrics_url, 10).decode().splitlines()
            if line.startswith("llamacpp:tokens_predicted_total")
        ]
        return float(line.split()[1])

    before = generated()
    tokens_of(served, "/completions", prompt="x", **ALL)
    assert generated() - before == 12


def test_each_sequence_has_the_context_that_was_asked_for(served):
    answer = chunks(asked(served, "/completions", prompt=[5] * 200, max_tokens=900, ignore_eos=True, stream=True))
    assert answer[-1]["usage"]["completion_tokens"] == 256 - 200
    connection = http.client.HTTPConnection(served.url, timeout=30)
    connection.request("POST", "/v1/completions", json.dumps({"prompt": [5] * 300}))
    refused = connection.getresponse()
    assert (refused.status, json.loads(refused.read())["error"]["n_ctx"]) == (400, 256)
    connection.close()


def test_it_ends_at_once_and_frees_its_port_even_in_the_middle_of_an_answer(model, tmp_path):
    server = start_llama_cpp(model, folder=tmp_path, parallel=1, context=30000, device="cpu")
    everyone = group(server.process.pid)
    connection = http.client.HTTPConnection(server.url, timeout=30)
    connection.request("POST", "/v1/completions", json.dumps({"prompt": "x", "ignore_eos": True, "stream": True}))
    answer = connection.getresponse()
    assert answer.read(100)
    server.stop()
    answer.close()
    connection.close()
    assert server.process.exit_code == -signal.SIGTERM, "it did not have to be killed"
    assert not server.alive()
    assert gone(everyone)
    again = start_llama_cpp(model, folder=tmp_path, device="cpu", port=int(server.url.rpartition(":")[2]))
    assert again.url == server.url
    again.stop()


KILLED = """
import sys, time
from pathlib import Path
from pytest_gpuperf.text.served.llama_cpp import start_llama_cpp
server = start_llama_cpp(Path(sys.argv[1]), folder=Path(sys.argv[2]), device="cpu")
print(server.process.pid, flush=True)
time.sleep(600)
"""


def test_a_run_that_is_killed_leaves_no_server_behind(model, tmp_path):
    command = [sys.executable, "-c", KILLED, str(model), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        everyone = group(int(run.stdout.readline()))
        assert everyone
        run.kill()
    assert gone(everyone)


def test_a_port_that_is_taken_is_one_message(model, tmp_path):
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        with pytest.raises(PortTakenError, match="another process listens on its port"):
            start_llama_cpp(model, folder=tmp_path, device="cpu", port=taken.getsockname()[1])


def test_a_port_that_is_taken_meanwhile_is_known_by_what_llama_cpp_says(model, tmp_path, monkeypatch):
    monkeypatch.setattr("pytest_gpuperf.serving.server_process._listening", lambda port: False)
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        with pytest.raises(PortTakenError, match="couldn't bind HTTP server socket"):
            start_llama_cpp(model, folder=tmp_path, device="cpu", port=taken.getsockname()[1])


def test_a_broken_file_is_one_message_with_what_llama_cpp_says_of_it(model, tmp_path):
    (tmp_path / "cut.gguf").write_bytes(model.read_bytes()[:200_000])
    with pytest.raises(ServerError, match="ended with exit code 1 before it was ready") as raised:
        start_llama_cpp(tmp_path / "cut.gguf", folder=tmp_path, device="cpu")
    assert "model is corrupted or incomplete" in str(raised.value)
    assert "Traceback" not in str(raised.value)


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("none.gguf", r"none.gguf cannot be read: No such file or directory. Give a GGUF file that is there"),
        ("folder.gguf", r"folder.gguf cannot be read: Is a directory"),
        ("text.gguf", r"text.gguf is no GGUF file: it begins with b'once', and not with b'GGUF'"),
    ],
)
def test_what_is_no_model_is_refused_before_anything_starts(tmp_path, file, says):
    require("xllamacpp")
    (tmp_path / "folder.gguf").mkdir()
    (tmp_path / "text.gguf").write_text("once upon a time")
    with pytest.raises(UsageError, match=says):
        start_llama_cpp(tmp_path / file, folder=tmp_path / "server")
    assert not (tmp_path / "server").exists()


@pytest.mark.parametrize("how", [{"parallel": 0}, {"context": -1}])
def test_nothing_at_once_and_no_context_make_no_sense(model, tmp_path, how):
    with pytest.raises(UsageError, match=r"=(0|-1): it must be at least 1"):
        start_llama_cpp(model, folder=tmp_path, **how)


def test_a_gpu_that_this_build_cannot_use_is_missing_and_the_processor_takes_no_turn_for_it(model, tmp_path):
    with pytest.raises(MissingError, match=r"cannot compute on cuda:7: the build of xllamacpp .* --gpuperf-device cpu"):
        start_llama_cpp(model, folder=tmp_path, device="cuda:7")


@pytest.mark.parametrize(
    ("device", "gpus", "where"),
    [
        ("cpu", ["CUDA0"], ["cpu"]),
        ("auto", [], ["cpu"]),
        ("auto", ["CUDA0", "CUDA1"], ["cuda:0", "cuda:1"]),
        ("auto", ["Vulkan0"], ["Vulkan0"]),
        ("cuda", ["CUDA0", "CUDA1"], ["cuda:0"]),
        ("cuda:1", ["CUDA0", "CUDA1"], ["cuda:1"]),
        ("cuda:2", ["CUDA0", "CUDA1"], []),
        ("cuda", [], []),
    ],
)
def test_where_it_computes(device, gpus, where):
    assert devices_for(device, gpus) == where


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingError, match=r"xllamacpp, not installed here.*pip install 'pytest-gpuperf\[text\]'"):
        start_llama_cpp(tmp_path / "any.gguf", folder=tmp_path)


def test_starting_it_loads_nothing_heavy():
    script = (
        "import sys\n"
        "from pytest_gpuperf.text.served import llama_cpp, remote, tiny_gguf, transformers_serve\n"
        "print({'torch', 'transformers', 'scipy'} & set(sys.modules) or 'none')"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed == "none\n", "a server that is ready at once would wait seconds for them"
