"""A load of a language model's server is three cases: recorded, judged, and there to be asserted on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy.linalg
import pytest
from scripted_stream import streaming

from pytest_gpuperf.records.files import read_run

assert numpy.linalg
SUITE = """
from pytest_gpuperf.serving.server import Server

SERVER = Server(name="scripted", kind="openai", url="{url}", model="writer", path="/v1")

def test_chat(gpuperf_text_load):
    found = gpuperf_text_load(SERVER, {how})
    assert found.ttft.mean > 0
    assert not found.errors
"""
CLOSED = "concurrency=2, requests=16, window_seconds=0.05, max_new_tokens=8"


def suite(story, handle, how=CLOSED):
    story.suite(SUITE.format(url=handle.url, how=how))


def test_one_load_is_three_cases_and_a_slower_first_token_fails(story):
    with streaming(first=0.004, each=0.002) as (server, handle):
        suite(story, handle)
        story.record("--junitxml", "junit.xml")
        (test,) = ET.parse(story.path / "junit.xml").findall(".//testcase")
        assert "gpuperf.clock" in {p.get("name") for p in test.iter("property")}
        whole, ttft, decode = read_run(story.path / "run.json").cases
        assert [case.id.partition("#")[2] for case in (whole, ttft, decode)] == ["", "ttft", "decode"]
        assert whole.measurements[0].text_load.server == "scripted"
        assert ttft.measurements[0].text_load is None
        server.first = 0.03
        result = story.run("--gpuperf-compare", "base.json", "--gpuperf-confirm", "in-test")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_chat#ttft*REGRESSED*"])


def test_with_arrivals_of_their_own_the_first_token_and_the_others_are_recorded(story):
    with streaming() as (_, handle):
        suite(story, handle, f"{CLOSED}, rate=200.0, arrivals='constant', name='given'")
        story.run("--gpuperf-save", "run.json").assert_outcomes(passed=1)
    cases = read_run(story.path / "run.json").cases
    assert [case.id.partition("#")[2] for case in cases] == ["given-ttft", "given-decode"]


def test_tokens_that_are_not_known_leave_out_what_needs_them(story):
    with streaming("no usage") as (_, handle):
        suite(story, handle)
        story.run("--gpuperf-save", "run.json").assert_outcomes(passed=1)
    whole, ttft = read_run(story.path / "run.json").cases
    assert ttft.id.endswith("#ttft")
    assert any("tokens unknown" in note for note in whole.measurements[0].notes)


def test_disabled_it_is_asked_a_few_times_only(story):
    with streaming(first=0.05) as (server, handle):
        suite(story, handle, "concurrency=64, requests=1000")
        story.run("--gpuperf-disable").assert_outcomes(passed=1)
        assert server.served < 60


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("concurrency=0", "*concurrency=0: a load has at least 1*"),
        ("max_new_tokens=0", "*max_new_tokens=0: a load has at least 1*"),
        (f"{CLOSED})\n    gpuperf_text_load(SERVER, requests=1", "*measures twice without a name*"),
    ],
)
def test_what_makes_no_sense_fails_its_test_with_a_sentence(story, how, message):
    with streaming() as (_, handle):
        suite(story, handle, how)
        result = story.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([message])


@pytest.mark.parametrize(
    ("kind", "load", "message"),
    [
        ("openai", "gpuperf_load", "*a language model's server. Load it with gpuperf_text_load(server)*"),
        ("remote", "gpuperf_text_load", "*is no language model's server. Load it with gpuperf_load(server, workload)*"),
    ],
)
def test_the_other_fixture_is_named_where_it_is_meant(story, kind, load, message):
    story.suite(
        f"""
from pytest_gpuperf import Server

def test_load({load}):
    {load}(Server(name="s", kind="{kind}", url="127.0.0.1:1", model="m"), ["x"])
"""
    )
    result = story.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([message])


@pytest.mark.parametrize(("required", "outcome"), [((), "skipped"), (("--gpuperf-require-backend",), "failed")])
def test_without_httptools_the_command_that_installs_it_is_the_reason(story, required, outcome):
    (story.path / "without.py").write_text("import sys\nsys.modules['httptools'] = None\n")
    story.suite("def test_chat(text_server):\n    text_server()\n")
    result = story.pytester.runpytest_subprocess("--gpuperf-device", "cpu", "-p", "without", "-rsf", *required)
    result.assert_outcomes(**{outcome: 1})
    result.stdout.fnmatch_lines(["*pytest-gpuperf*text*"])
    with streaming() as (_, handle):
        suite(story, handle)
        result = story.pytester.runpytest_subprocess("--gpuperf-device", "cpu", "-p", "without", "-rsf", *required)
    result.assert_outcomes(**{outcome: 1})


def test_a_server_that_does_not_answer_is_one_sentence(story):
    with streaming() as (_, handle):
        suite(story, handle)
    result = story.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*failed to answer its first request: refused*http://HOST:PORT/v1*"])


def test_it_is_not_measured_in_turns_with_another_revision(repository):
    with streaming() as (server, handle):
        repository.write("tests/test_perf.py", "import work\n" + SUITE.format(url=handle.url, how=CLOSED))
        repository.project.commit("first")
        repository.work(2.0)
        result = repository.run("--gpuperf-ab", "HEAD", "-rs")
        assert server.served == 0
    result.stdout.fnmatch_lines(["*a load is not measured in turns*"])


def test_the_suite_serves_a_language_model(tmp_path):
    pytest.importorskip("xllamacpp")
    file = tmp_path / "run.json"
    test = "tests/perf/text/test_served.py::test_served[4-smoke]"
    quick = ("--gpuperf-device", "cpu", "--gpuperf-budget", "1", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", test, *quick, "--gpuperf-save", str(file)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    whole, _, decode = read_run(file).cases
    assert whole.measurements[0].text_load.generated_tokens == 32 * whole.measurements[0].text_load.requests
    assert decode.measurements[0].evidence.verdict == "proven", "its process was busy on the processor"
