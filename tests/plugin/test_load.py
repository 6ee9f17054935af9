"""A load of a server is a case: recorded, judged, and there to be asserted on."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy.linalg
import pytest
import tritonclient.http  # noqa: F401 - pytester forgets what a session imported, and gevent cannot be loaded twice
from scripted_server import WIDTH, scripted

from pytest_gpuperf.records.files import read_run

assert numpy.linalg
SUITE = """
import numpy as np
from pytest_gpuperf.serving.server import Server

SERVER = Server(name="scripted", kind="remote", url="{url}", model="doubler")
X = [np.zeros((1, {width}), np.float32)]

def test_load(gpuperf_load):
    load = gpuperf_load(SERVER, X, {how})
    assert load.requests_per_second * load.latency.mean > 0.01
    assert not load.errors
"""


CLOSED = "concurrency=2, requests=20, window_seconds=0.05"


def suite(story, handle, how=CLOSED):
    story.suite(SUITE.format(url=handle.url, width=WIDTH, how=how))


def test_a_load_is_recorded_and_a_slower_server_fails_its_test(story):
    with scripted(service=0.003) as (server, handle):
        suite(story, handle)
        story.record("--junitxml", "junit.xml")
        (test,) = ET.parse(story.path / "junit.xml").findall(".//testcase")
        assert "gpuperf.clock" in {p.get("name") for p in test.iter("property")}
        (case,) = read_run(story.path / "run.json").cases
        assert case.measurements[0].load.server == "scripted"
        server.service = 0.012
        result = story.run("--gpuperf-compare", "base.json", "--gpuperf-confirm", "in-test")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["time per call regressed: *test_load"])


def test_a_load_with_arrivals_of_its_own_is_not_recorded(story):
    with scripted(service=0.001) as (_, handle):
        suite(story, handle, f"{CLOSED}, rate=100.0, arrivals='constant', name='given'")
        story.run("--gpuperf-save", "run.json").assert_outcomes(passed=1)
    assert not (story.path / "run.json").exists()


def test_disabled_it_is_asked_a_few_times_only(story):
    with scripted(service=0.05) as (server, handle):
        suite(story, handle, "concurrency=64, requests=1000")
        story.run("--gpuperf-disable").assert_outcomes(passed=1)
        assert server.served < 60


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("concurrency=0", "*concurrency=0: a load has at least 1*"),
        (f"{CLOSED})\n    gpuperf_load(SERVER, X, requests=1", "*measures twice without a name*"),
        (f"{CLOSED}, name=['a']", "*the name of a measurement is a text*"),
    ],
)
def test_what_makes_no_sense_fails_its_test_with_a_sentence(story, how, told):
    with scripted() as (_, handle):
        suite(story, handle, how)
        result = story.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([told])
