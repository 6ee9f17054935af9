"""A server that somebody else runs: what it says of itself, and one message for each thing that goes wrong."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from contextlib import contextmanager

import pytest
from certificates import certificate

from pytest_gpuperf.errors import ServerError, UsageError
from pytest_gpuperf.text.served.key import KEY, authorization
from pytest_gpuperf.text.served.remote import remote_openai

SECRET = "sk-wJ3vQ9-secret"
ONE = {"data": [{"id": "llama-3", "owned_by": "vllm"}]}
HANGS_UP = "hangs up"
METRICS = b"# HELP vllm:requests\n# TYPE vllm:requests counter\nvllm:requests 1\n"


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv(KEY, raising=False)


@contextmanager
def serving(answers, *, certificate=None):
    """A server that answers as the dictionary says: path -> (status, content), and keeps what it was asked with."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Authorization")))
            if answers.get(self.path) == HANGS_UP:
                return
            status, content, *headers = answers.get(self.path, (404, b'{"detail": "Not Found"}'))
            content = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def test_a_server_says_its_model_its_version_and_that_it_has_metrics():
    answers = {
        "/v1/models": (200, ONE),
        "/version": (200, {"version": "0.11.2"}),
        "/metrics": (200, METRICS),
    }
    with serving(answers) as (host, asked):
        server = remote_openai(f"http://{host}")
    assert (server.kind, server.url, server.path, server.model) == ("openai", host, "/v1", "llama-3")
    assert server.metrics_url == f"http://{host}/metrics"
    assert server.configuration == {"server": "vllm 0.11.2", "remote": True}
    assert (server.secure, server.local, server.started) == (False, False, None)
    assert {authorized for _, authorized in asked} == {None}


@pytest.mark.parametrize("base", ["", "/", "/v1", "/v1/"])
def test_the_base_url_is_taken_with_and_without_its_version(base):
    with serving({"/v1/models": (200, ONE)}) as (host, _):
        assert remote_openai(f"http://{host}{base}").path == "/v1"


def test_a_path_of_its_own_is_kept():
    with serving({"/gateway/openai/v1/models": (200, ONE)}) as (host, _):
        assert remote_openai(f"http://{host}/gateway/openai/v1").path == "/gateway/openai/v1"


@pytest.mark.parametrize(
    ("models", "version", "name"),
    [
        ([{"id": "m", "owned_by": "llamacpp"}], None, "llamacpp"),
        ([{"id": "m"}], "1.2", "1.2"),
        ([{"id": "m", "owned_by": None}], None, "unknown"),
    ],
)
@pytest.mark.parametrize("metrics", [b"<html># none</html>", b""])
def test_what_it_does_not_say_is_unknown(models, version, name, metrics):
    said = {} if version is None else {"/version": (200, {"version": version})}
    with serving({"/v1/models": (200, {"data": models}), "/metrics": (200, metrics), **said}) as (host, _):
        server = remote_openai(f"http://{host}")
    assert server.configuration["server"] == name
    assert server.metrics_url is None


@pytest.mark.parametrize("version", [b"<html>", b"[]", b"{}", b'"2"', b"null"])
def test_a_version_that_is_none_is_left_out(version):
    with serving({"/v1/models": (200, ONE), "/version": (200, version)}) as (host, _):
        assert remote_openai(f"http://{host}").configuration["server"] == "vllm"


def test_a_server_that_hangs_up_when_it_is_asked_for_more_is_taken_all_the_same():
    with serving({"/v1/models": (200, ONE), "/version": HANGS_UP, "/metrics": HANGS_UP}) as (host, _):
        server = remote_openai(f"http://{host}")
    assert (server.metrics_url, server.configuration["server"]) == (None, "vllm")


SEVERAL = {"data": [{"id": "llama-3-8b"}, {"id": "mistral-7b"}]}


def test_of_several_models_one_has_to_be_named():
    with serving({"/v1/models": (200, SEVERAL)}) as (host, _):
        assert remote_openai(f"http://{host}", "mistral-7b").model == "mistral-7b"
        with pytest.raises(
            UsageError, match=r"several models. Say which, --gpuperf-openai-model NAME: llama-3-8b, mis"
        ):
            remote_openai(f"http://{host}")
        with pytest.raises(
            UsageError, match=r"not serve 'mistral7b'. Did you mean 'mistral-7b'\? It serves: llama-3-8b,"
        ):
            remote_openai(f"http://{host}", "mistral7b")
        with pytest.raises(UsageError, match=r"does not serve 'x'. It serves: llama-3-8b, mistral-7b"):
            remote_openai(f"http://{host}", "x")


def test_a_name_is_checked_where_there_is_one_model_only():
    with (
        serving({"/v1/models": (200, ONE)}) as (host, _),
        pytest.raises(UsageError, match=r"not serve 'llama-2'\. Did you mean 'llama-3'"),
    ):
        remote_openai(f"http://{host}", "llama-2")


def test_of_hundreds_of_models_a_message_names_a_few():
    many = {"data": [{"id": f"model-{n}"} for n in range(300)]}
    with (
        serving({"/v1/models": (200, many)}) as (host, _),
        pytest.raises(UsageError, match=r"model-19, \.\.\. \(300 in"),
    ):
        remote_openai(f"http://{host}")


@pytest.mark.parametrize("model", [None, "llama"])
def test_a_server_without_a_model(model):
    with (
        serving({"/v1/models": (200, {"data": []})}) as (host, _),
        pytest.raises(ServerError, match=r"serves no model .*Load one there"),
    ):
        remote_openai(f"http://{host}", model)


@pytest.mark.parametrize(
    ("status", "content", "says"),
    [
        (401, {"error": "no key"}, r"wants an API key \(401: .*no key.*export OPENAI_API_KEY=\.\.\."),
        (403, b"", r"wants an API key \(403"),
        (404, b"", r"has no /v1/models \(404\), so it speaks no OpenAI API there.*--gpuperf-openai-url http://127"),
        (503, b"loading", r"did not list its models \(503: loading\)\. See what it says: curl http://127.*/v1/models"),
        (200, b"<!doctype html>", r"no list of models \(JSON is malformed.*'<!doctype html>'.*--gpuperf-openai-url"),
        (200, b'{"object": "list"}', r"no list of models \(Object missing required field `data`\)"),
        (200, b"\xff\xfe", r"no list of models"),
    ],
)
def test_what_goes_wrong_is_one_message(status, content, says):
    with serving({"/v1/models": (status, content)}) as (host, _), pytest.raises(ServerError, match=says):
        remote_openai(f"http://{host}")


def test_a_server_that_is_elsewhere_now_says_where():
    moved = (308, b"", ("Location", "https://elsewhere/v1/models"))
    with (
        serving({"/v1/models": moved}) as (host, _),
        pytest.raises(ServerError, match="names another address: https://elsewhere/v1/models"),
    ):
        remote_openai(f"http://{host}")


@pytest.mark.parametrize("host", ["127.0.0.1:9", "no-such-host.invalid", f"{'a' * 70}.invalid"])
def test_where_nobody_answers(host):
    with pytest.raises(ServerError, match=r"could not be asked: .*See that it runs, and .*: curl http://"):
        remote_openai(f"http://{host}")


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000",
        "localhost:8000/v1",
        "",
        "ftp://host",
        "http://",
        "http://host:port",
        "http://[::1",
        "http://ho st",
        "http://h/v 1",
    ],
)
def test_what_is_no_address(url):
    with pytest.raises(UsageError, match="Write the base URL of OpenAI's API: --gpuperf-openai-url http://HOST:8000"):
        remote_openai(url)


@pytest.mark.parametrize(
    "url", [f"http://me:{SECRET}@host/v1", f"https://host/v1?api-key={SECRET}", f"http://h#{SECRET}"]
)
def test_an_address_with_a_secret_in_it_is_refused_and_not_repeated(url):
    with pytest.raises(UsageError, match=f"It is recorded; a key belongs in {KEY}") as raised:
        remote_openai(url)
    assert SECRET not in str(raised.value)


def test_the_key_is_sent_as_a_bearer_token_and_stands_in_nothing_that_is_kept(monkeypatch):
    monkeypatch.setenv(KEY, f" {SECRET}\n")
    with serving({"/v1/models": (200, ONE)}) as (host, asked):
        server = remote_openai(f"http://{host}")
    assert {authorized for _, authorized in asked} == {f"Bearer {SECRET}"}
    assert SECRET not in repr(server)
    assert SECRET not in str(server.configuration)


@pytest.mark.parametrize("status", [401, 403, 500, 200, 302])
def test_a_server_that_quotes_the_key_does_not_have_it_shown(monkeypatch, status):
    monkeypatch.setenv(KEY, SECRET)
    # At the end of what is shown, a part of it would be left.
    quotes = b"Bad key. " + b"." * 480 + SECRET.encode() + b" " + SECRET.encode()
    answer = (status, quotes, ("Location", f"https://elsewhere?key={SECRET}"))
    with serving({"/v1/models": answer}) as (host, _), pytest.raises(ServerError) as raised:
        remote_openai(f"http://{host}")
    assert SECRET[:8] not in str(raised.value)
    assert "***" in str(raised.value)
    if status in {401, 403}:
        assert f"refuses the key in {KEY}" in str(raised.value)


@pytest.mark.parametrize("key", ["two words", "sk-\u00e4", "sk-\u2028x", "a\nb"])
def test_a_key_that_no_header_may_have_is_not_shown_either(monkeypatch, key):
    monkeypatch.setenv(KEY, key)
    with pytest.raises(UsageError, match=f"What {KEY} holds is no key") as raised:
        authorization()
    assert key not in str(raised.value)


def test_no_key_is_no_header(monkeypatch):
    assert authorization() == {}
    monkeypatch.setenv(KEY, "  ")
    assert authorization() == {}


def test_https(tmp_path, monkeypatch):
    pem, own = certificate(tmp_path)
    with serving({"/v1/models": (200, ONE), "/metrics": (200, METRICS)}, certificate=pem) as (host, _):
        with pytest.raises(ServerError, match=r"could not be asked: .*certificate verify failed"):
            remote_openai(f"https://{host}/v1")
        monkeypatch.setenv("SSL_CERT_FILE", str(own))
        server = remote_openai(f"https://{host}/v1")
    assert (server.secure, server.url, server.metrics_url) == (True, host, f"https://{host}/metrics")


def test_a_url_that_names_no_port_has_the_usual_one():
    for scheme, port in (("http", 80), ("https", 443)):
        with pytest.raises(ServerError, match=f"at no-such-host.invalid:{port} could not be asked"):
            remote_openai(f"{scheme}://no-such-host.invalid")
