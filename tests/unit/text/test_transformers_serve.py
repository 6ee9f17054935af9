"""transformers' own server, for real: a folder that is written here, served offline, under the model's own name."""

from __future__ import annotations

import json
import sys

import pytest
from openai_client import asked, chunks, require, tokens_of
from served import gone, group

from pytest_gpuperf.errors import MissingError, UsageError
from pytest_gpuperf.text import load_text
from pytest_gpuperf.text.served import transformers_serve
from pytest_gpuperf.text.served.byte_tokens import CHAT_TEMPLATE, write_tokeniser
from pytest_gpuperf.text.served.transformers_serve import start_transformers

PACKAGES = ("transformers", "accelerate", "fastapi", "openai", "pydantic", "uvicorn")
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    require(*PACKAGES)
    # What it is given is no name of the model hub, and nothing has to be looked up there.
    server = start_transformers("text:phi-2", folder=tmp_path_factory.mktemp("served"), scale="smoke", timeout=300)
    yield server
    server.stop()


def test_it_says_what_it_is_and_how_it_serves(served):
    assert (served.name, served.kind, served.path) == ("transformers", "openai", "/v1")
    assert served.model == "phi-2", "and no path of this machine"
    assert served.metrics_url is None
    known = dict(served.configuration)
    assert known.pop("server").startswith("transformers 5.")
    assert known == {
        "scale": "smoke",
        "pretrained": False,
        "tokeniser": "a token for each byte",
        "threads": 1,
        "devices": ["cpu"],
    }


def test_it_answers_whole_and_as_a_stream_and_no_end_comes_early(served):
    assert tokens_of(served, "/chat/completions", messages=HELLO, max_tokens=60) == 60
    assert tokens_of(served, "/completions", prompt="hello", max_tokens=60) == 60
    chat = chunks(asked(served, "/chat/completions", messages=HELLO, max_tokens=20, stream=True))
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chat)
    assert chat[-1]["usage"]["completion_tokens"] == 20
    plain = chunks(asked(served, "/completions", prompt="hello", max_tokens=20, stream=True))
    assert plain[-1]["usage"] == {"completion_tokens": 20, "prompt_tokens": len("hello"), "total_tokens": 25}


def test_weights_are_those_of_the_seed_and_are_not_kept_on_the_disk(served, tmp_path):
    again = start_transformers("text:phi-2", folder=tmp_path, scale="smoke", timeout=300)
    everyone = group(again.process.pid)
    try:
        how = {"messages": HELLO, "max_tokens": 30}
        texts = [json.loads(asked(s, "/chat/completions", **how))["choices"][0]["message"] for s in (served, again)]
        assert texts[0] == texts[1]
        assert [path.name for path in tmp_path.rglob("config.json")] == ["config.json"]
        assert not list(tmp_path.rglob("*.safetensors"))
    finally:
        again.stop()
    assert gone(everyone)


def written(folder, **more):
    """A folder with a configuration, as a user has one."""
    sizes = {"n_embd": 32, "n_layer": 1, "n_head": 2, "vocab_size": 600, "bos_token_id": 599, "eos_token_id": 599}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", **sizes, **more}))
    return f"text:{folder}"


def test_a_folder_without_a_tokeniser_gets_one_and_the_weights_go_even_where_the_server_fails(tmp_path):
    require(*PACKAGES)
    folder = tmp_path / "my model"
    server = start_transformers(written(folder), folder=tmp_path / "one", timeout=300)
    try:
        assert server.model == "my model"
        assert server.configuration["tokeniser"] == "a token for each byte"
        assert server.configuration["threads"] is None, "a model of full size takes the processor's cores"
        assert tokens_of(server, "/chat/completions", messages=HELLO, max_tokens=7) == 7
        with pytest.raises(Exception, match="another process listens on its port"):
            start_transformers(f"text:{folder}", folder=tmp_path / "two", port=int(server.url.rpartition(":")[2]))
    finally:
        server.stop()
    assert not list(tmp_path.rglob("*.safetensors"))
    assert [path.name for path in folder.iterdir()] == ["config.json"], "the user's folder is as it was"


def test_a_folder_with_trained_weights_and_its_tokeniser_is_served_with_both(tmp_path):
    require(*PACKAGES)
    folder = tmp_path / "trained"
    load_text(written(folder)).module.save_pretrained(folder)
    write_tokeniser(folder, 600, {"bos_token": 599, "eos_token": 599})
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    weights = (folder / "model.safetensors").read_bytes()
    server = start_transformers(f"text:{folder}", folder=tmp_path / "server", pretrained=True, timeout=300)
    try:
        assert server.configuration["tokeniser"] == "the model's own"
        answer = json.loads(asked(server, "/chat/completions", messages=HELLO, max_tokens=5))
        assert answer["usage"]["prompt_tokens"] == len("hello"), "its own template adds nothing"
    finally:
        server.stop()
    assert (folder / "model.safetensors").read_bytes() == weights


def test_a_tokeniser_without_a_chat_template_gets_one(tmp_path):
    require(*PACKAGES)
    model = written(tmp_path / "mine")
    write_tokeniser(tmp_path / "mine", 600, {"bos_token": 599})
    (tmp_path / "mine" / "chat_template.jinja").unlink()
    assert transformers_serve._write(load_text(model), tmp_path / "written") == "the model's own"
    assert (tmp_path / "written" / "chat_template.jinja").read_text() == CHAT_TEMPLATE


def test_where_the_model_has_more_tokens_than_its_tokeniser_may_name_another_is_made(tmp_path):
    require(*PACKAGES)
    model = written(tmp_path / "mine", vocab_size=599, bos_token_id=1, eos_token_id=1)
    write_tokeniser(tmp_path / "mine", 600, {"bos_token": 599})
    assert transformers_serve._write(load_text(model), tmp_path / "written") == "a token for each byte"


def test_a_kind_of_model_that_makes_no_tokeniser_by_itself_gets_one(tmp_path):
    require(*PACKAGES)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = written(tmp_path / "mine", model_type="llama", **sizes, bos_token_id=1, eos_token_id=[2, 3])
    assert transformers_serve._write(load_text(model), tmp_path / "written") == "a token for each byte"


def test_a_model_with_fewer_tokens_than_bytes_cannot_be_asked(tmp_path):
    require(*PACKAGES)
    model = written(tmp_path / "narrow", vocab_size=100, bos_token_id=1, eos_token_id=2)
    with pytest.raises(UsageError, match="has 100 tokens: too few for a tokeniser of bytes"):
        start_transformers(model, folder=tmp_path / "server")


@pytest.mark.parametrize(
    ("model", "error", "says"),
    [
        ("phi-2", UsageError, "'phi-2' is no language model. Write text:phi-2"),
        ("text:./no-such-folder", MissingError, "no configuration was found"),
        ("text:phi2", UsageError, r"There is no model 'text:phi2'. Did you mean 'text:phi-2'\?"),
    ],
)
def test_a_name_that_is_none_is_refused(tmp_path, model, error, says):
    require(*PACKAGES)
    with pytest.raises(error, match=says):
        start_transformers(model, folder=tmp_path)


@pytest.mark.parametrize(
    ("package", "says"),
    [
        ("transformers", r"needs transformers, not installed here.*pip install 'pytest-gpuperf\[text\]'"),
        ("fastapi", r"transformers serve needs fastapi, not installed here.*pip install 'transformers\[serving\]'"),
    ],
)
def test_without_its_packages_it_says_what_to_install(tmp_path, monkeypatch, package, says):
    require(*PACKAGES)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingError, match=says):
        start_transformers("text:phi-2", folder=tmp_path, scale="smoke")
    assert not list(tmp_path.iterdir())
