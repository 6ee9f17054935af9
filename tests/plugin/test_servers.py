"""Stories: a test asks for a server of its model, and gets a real one; whatever happens, nothing of it is left."""

from __future__ import annotations

import re

import pytest
from served import gone, group, require_triton
from small_net import small

from pytest_gpuperf.backends import onnx_export
from pytest_gpuperf.serving import install, starting, torch_server  # noqa: F401 - a session in this process must not load it twice
from pytest_gpuperf.serving.deployment import Deployment

SERVED = """
from small_net import small
WORKLOAD = small()
"""


CACHE, TRITON = onnx_export.folder().parents[1], install.folder()  # before pytester gives the user another home


@pytest.fixture(autouse=True)
def user(monkeypatch):
    """With what this one has in the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(CACHE))
    monkeypatch.setenv("GPUPERF_TRITON", str(TRITON))


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A server that somebody else runs."""
    require_triton()
    server = starting.start_triton(small(), Deployment(), folder=tmp_path_factory.mktemp("elsewhere"), timeout=120)
    yield server
    server.stop()


@pytest.mark.usefixtures("elsewhere")  # what a first server imports stays imported
def test_a_module_shares_a_server_failures_show_its_log_and_it_is_stopped(story):
    story.suite(
        SERVED
        + """
def test_first(triton_server):
    server = triton_server(WORKLOAD, instances=2)
    assert server.configuration["instances"] == 2
    assert server.configuration["devices"] == ["cpu"]
    assert triton_server(WORKLOAD, instances=2) is server
    print("leader", server.process.pid)

def test_fails(triton_server):
    assert triton_server(WORKLOAD, instances=2).url == "elsewhere"

def test_a_dead_one_is_replaced(triton_server):
    server = triton_server(WORKLOAD, instances=2)
    server.stop()
    again = triton_server(WORKLOAD, instances=2)
    assert again is not server
    assert again.alive()
    print("leader", again.process.pid)

def test_other_tests_go_on():
    pass
"""
    )
    result = story.run("-rP")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["*- log of triton-onnx at 127.0.0.1:* (running) -*", "*Started HTTPService*"])
    leaders = [int(pid) for pid in re.findall(r"leader (\d+)", result.stdout.str())]
    assert len(set(leaders)) == 2
    assert gone(leaders)
    assert not any(map(group, leaders))


def test_an_address_gives_the_server_there(story, elsewhere):
    story.suite(
        SERVED
        + """
def test_it(triton_server, torch_server):
    server = triton_server(WORKLOAD)
    assert (server.name, server.local) == ("triton-remote", False)
    assert torch_server("small").name == "torch-remote"
"""
    )
    story.run("--gpuperf-triton-url", elsewhere.url, "--gpuperf-torch-url", elsewhere.url).assert_outcomes(passed=1)
    assert elsewhere.alive()


def test_an_address_where_nobody_answers_fails_the_test(story):
    story.suite('def test_it(triton_server):\n    triton_server("small")\n')
    result = story.run("--gpuperf-triton-url", "127.0.0.1:9")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*127.0.0.1:9 does not answer*"])


def test_without_a_triton_a_test_skips_with_the_command_that_installs_one(story, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/sbin")
    monkeypatch.setenv("GPUPERF_TRITON", str(story.path / "none"))
    story.suite(SERVED + "\ndef test_it(triton_server):\n    triton_server(WORKLOAD)\n")
    result = story.run("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*There is no Triton server here:*gpuperf triton install*"])
    story.run("--gpuperf-require-backend").assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ('torch_server("resnet5")', "There is no model 'resnet5'. Did you mean 'resnet50'?"),
        ("torch_server(WORKLOAD, instances=0)", "instances=0: it must be at least 1."),
    ],
)
def test_what_makes_no_sense_is_one_message_without_our_own_code(story, call, said):
    story.suite(f"{SERVED}\ndef test_it(torch_server):\n    {call}\n")
    result = story.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([said.replace("[", "[[]") + "*"])
    result.stdout.no_fnmatch_line("*pytest_gpuperf/*")


def test_a_failure_shows_no_log_of_a_server_that_its_test_did_not_ask_for(story):
    story.suite(
        SERVED
        + """
def test_one(torch_server):
    torch_server(WORKLOAD)

def test_other(triton_server):
    assert False
"""
    )
    result = story.run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*- log of *")
