"""Stories: a test asks for a language model's server, and gets a real one; whatever happens, nothing of it is left."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from openai_client import require
from served import gone, group

import pytest_gpuperf.text.model  # noqa: F401 - pytester forgets imports, and torch cannot be loaded twice
from pytest_gpuperf.text.served import llama_cpp, tiny_gguf


@pytest.fixture(autouse=True)
def user(monkeypatch, tmp_path_factory):
    """Who has what starts the servers, and the tiny model in the cache."""
    require("xllamacpp", "gguf")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    tiny_gguf.tiny()
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def test_a_module_shares_a_server_failures_show_its_log_and_it_is_stopped(story):
    story.suite(
        """
def test_first(text_server):
    server = text_server()
    assert server.configuration["devices"] == ["cpu"]
    assert (server.configuration["parallel"], server.configuration["context"]) == (4, 2048)
    assert text_server() is server
    assert text_server(parallel=2) is not server
    print("leader", server.process.pid, text_server(parallel=2).process.pid)

def test_fails(text_server):
    assert text_server().url == "elsewhere"

def test_a_dead_one_is_replaced(text_server):
    server = text_server()
    server.stop()
    again = text_server()
    assert again is not server
    assert again.alive()
    print("leader", again.process.pid, again.process.pid)
"""
    )
    result = story.run("-rP")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*- log of llama.cpp at 127.0.0.1:* (running) -*", "*tiny serves on cpu*"])
    leaders = [int(pid) for pair in re.findall(r"leader (\d+) (\d+)", result.stdout.str()) for pid in pair]
    assert len(set(leaders)) == 3
    assert gone(leaders)
    assert not any(map(group, leaders))


def test_a_file_of_the_user_s_by_its_path(story):
    tiny_gguf.write_tiny(story.path / "models" / "mine.gguf")
    story.suite(
        """
from pathlib import Path

def test_it(text_server):
    server = text_server("models/mine.gguf", context=300)
    assert (server.model, server.configuration["file"]) == ("mine", "mine.gguf")
    assert server.configuration["context"] == 300
"""
    )
    story.run().assert_outcomes(passed=1)


def test_a_model_of_transformers_at_the_session_s_scale(story):
    require("transformers", "accelerate", "fastapi", "openai", "uvicorn")
    story.suite(
        """
def test_it(text_server):
    server = text_server("text:phi-2")
    assert (server.name, server.model) == ("transformers", "phi-2")
    assert server.configuration["scale"] == "smoke"
    assert server.configuration["devices"] == ["cpu"]
    assert text_server("text:phi-2") is server
"""
    )
    result = story.pytester.runpytest_subprocess("--gpuperf-device", "cpu", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A server that somebody else runs."""
    require("xllamacpp", "gguf")
    folder = tmp_path_factory.mktemp("elsewhere")
    model = tiny_gguf.write_tiny(folder / "theirs.gguf")
    server = llama_cpp.start_llama_cpp(model, folder=folder, device="cpu")
    yield server
    server.stop()


THEIRS = """
def test_it(text_server):
    server = text_server("text:phi-2")
    assert (server.name, server.local, server.model) == ("openai-remote", False, "theirs")
    assert server.configuration == {"server": "llamacpp", "remote": True}
    assert server.metrics_url.endswith("/metrics")
"""


def test_an_address_gives_the_server_there_and_leaves_it_running(story, elsewhere):
    story.suite(THEIRS)
    story.run("--gpuperf-openai-url", f"http://{elsewhere.url}").assert_outcomes(passed=1)
    story.pytester.makeini(f"[pytest]\ngpuperf_openai_url = http://{elsewhere.url}/v1\ngpuperf_openai_model = theirs\n")
    story.run().assert_outcomes(passed=1)
    assert elsewhere.alive()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--gpuperf-openai-url", "http://127.0.0.1:9"), "*127.0.0.1:9 could not be asked*"),
        (("--gpuperf-openai-url", "127.0.0.1:9"), "'127.0.0.1:9' is no address of an API. Write the base URL*"),
        (("--gpuperf-openai-url", "{there}", "--gpuperf-openai-model", "their"), "*Did you mean 'theirs'*"),
    ],
)
def test_an_address_or_a_name_that_is_wrong_fails_the_test(story, elsewhere, options, says):
    story.suite("def test_it(text_server):\n    text_server()\n")
    result = story.run(*(option.format(there=f"http://{elsewhere.url}") for option in options))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([says])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            'text_server("phi-2")',
            "The model phi-2 cannot be read: No such file*Give a GGUF file that is there*text:NAME.",
        ),
        ('text_server("text:")', "'text:' is no language model*"),
        ('text_server("text:phi-2", parallel=2)', "parallel=2 has no effect on transformers serve*Leave it out."),
        (
            'text_server(scale="full")',
            "scale='full' has no effect on llama.cpp, which serves this model. Leave it out.",
        ),
        ("text_server(pretrained=True)", "pretrained=True has no effect on llama.cpp*"),
        ("text_server(context=0)", "context=0: it must be at least 1."),
    ],
)
def test_what_makes_no_sense_is_one_message_without_our_own_code(story, call, says):
    if "transformers" in says or "text:" in call:
        require("transformers", "accelerate", "fastapi", "openai", "uvicorn")
    story.suite(f"def test_it(text_server):\n    {call}\n")
    result = story.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([says])
    result.stdout.no_fnmatch_line("*pytest_gpuperf/*")


def test_without_its_package_a_test_skips_with_the_command_that_installs_it(story, monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    story.suite("def test_it(text_server):\n    text_server()\n")
    result = story.run("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*needs xllamacpp, not installed here*pip install 'pytest-gpuperf[[]text]'*"])
    result = story.run("--gpuperf-require-backend")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["llama.cpp's server needs xllamacpp*"])


WAITS = """
import time
from pathlib import Path

def test_it(text_server):
    Path("leader").write_text(str(text_server().process.pid))
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_ended_leaves_no_server_behind(story, number):
    story.suite(WAITS)
    leader = Path(story.path, "leader")
    command = [sys.executable, "-m", "pytest", "--gpuperf-device", "cpu", "-p", "no:cacheprovider"]
    with subprocess.Popen(command, cwd=story.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        while not (leader.exists() and leader.read_text()):
            assert run.poll() is None
            time.sleep(0.02)
        everyone = group(int(leader.read_text()))
        assert everyone
        run.send_signal(number)
    assert gone(everyone)
