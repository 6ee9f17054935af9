"""The servers of a study by what is typed: an address, a file, a model; and what cannot be had is refused at once."""

from __future__ import annotations

import pytest
from openai_client import require
from scripted_stream import MODEL, streaming

from pytest_gpuperf.errors import MissingError, ServerError, UsageError
from pytest_gpuperf.text.served import contenders as of_study
from pytest_gpuperf.text.served.contenders import Setup, contenders, file_name
from pytest_gpuperf.text.served.tiny_gguf import write_tiny

SETUP = Setup(device="cpu", torch_device="cpu", scale="smoke", parallel=2, prompt_tokens=64, max_new_tokens=8)


@pytest.fixture
def cache(monkeypatch, tmp_path):
    require("xllamacpp", "gguf")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_alone_it_is_llama_cpp_with_its_tiny_model(cache):
    (found,) = contenders([], SETUP)
    assert found.name == "llama.cpp"
    with found.open() as server:
        assert (server.model, server.configuration["parallel"], server.configuration["context"]) == ("tiny", 2, 768)
        assert server.alive()
    assert not server.alive()


def test_a_server_that_runs_is_left_running():
    with streaming() as (_, handle):
        named, unnamed = contenders([f"vllm=http://{handle.url}/v1", f"http://{handle.url}#{MODEL}"], SETUP)
        assert (named.name, unnamed.name) == ("vllm", handle.url)
        for each in (named, unnamed):
            with each.open() as server:
                assert (server.url, server.model, server.process) == (handle.url, MODEL, None)


def test_a_model_of_transformers_is_started_and_stopped():
    require("transformers", "accelerate", "fastapi", "openai", "pydantic", "uvicorn")
    (found,) = contenders(["text:phi-2"], SETUP)
    assert found.name == "transformers"
    with found.open() as server:
        assert server.configuration["scale"] == "smoke"
    assert not server.alive()


def test_a_file_may_have_any_name_and_an_equals_sign_in_its_path(cache, tmp_path):
    (tmp_path / "a=b").mkdir()
    for path in (write_tiny(tmp_path / "a=b" / "small.gguf"), write_tiny(tmp_path / "model.bin")):
        assert contenders([str(path)], SETUP)[0].name == "llama.cpp"
        assert contenders([f"mine={path}"], SETUP)[0].name == "mine"


@pytest.mark.parametrize(
    ("words", "error", "told"),
    [
        (("vlm",), UsageError, r"There is no server 'vlm'. Write its address"),
        (("a=ftp://host",), UsageError, "There is no server 'ftp://host'"),
        (
            ("http://user:secret@host/",),
            UsageError,
            "Write the base URL of OpenAI's API: gpuperf serve-study text NAME=",
        ),
        (("http://127.0.0.1:9",), ServerError, "could not be asked"),
        (("none.gguf",), UsageError, "cannot be read"),
    ],
)
def test_what_cannot_be_had_is_refused_before_anything_is_measured(words, error, told):
    require("xllamacpp")
    with pytest.raises(error, match=told):
        contenders(words, SETUP)


def test_a_model_that_is_not_served_is_refused_with_what_to_type():
    with streaming() as (_, handle), pytest.raises(UsageError, match=f"does not serve 'other'.* It serves: {MODEL}"):
        contenders([f"http://{handle.url}#other"], SETUP)


def test_two_of_one_name_are_refused():
    with streaming() as (_, handle), pytest.raises(UsageError, match=r"Several servers are called 'a'.*NAME=WHERE"):
        contenders([f"a=http://{handle.url}", f"A=http://{handle.url}"], SETUP)


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingError, match="xllamacpp"):
        contenders([str(tmp_path / "x.gguf")], SETUP)


def test_a_name_becomes_a_part_of_a_file_s_name():
    assert file_name("host:8000") == "host-8000"
    assert of_study.Setup(**{**vars(SETUP), "prompt_tokens": 1000}).context == 2048
