"""A server's processes on a scripted card: its memory and its watts show who did the work."""

from __future__ import annotations

import subprocess
import sys
from time import sleep

import pytest
from nvml.standin import GIB

from pytest_gpuperf.serving.server import Server
from pytest_gpuperf.serving.watched import Watched

STRANGER = 2**22 + 1


class Sleeper:
    """A server's process that only sleeps, in a group of its own."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
        self.pid = self.process.pid

    def alive(self):
        return self.process.poll() is None

    def log_tail(self, lines=25):
        return ""

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def served():
    running = Sleeper()
    yield Server(
        name="llama.cpp",
        kind="openai",
        url="127.0.0.1:1",
        model="m",
        process=running,
        configuration={"devices": ["cuda:0"]},
    )
    running.stop()


def loaded(server, machine, watts=250.0):
    with Watched(server) as watched:
        machine.change(power=watts)
        sleep(0.3)
    machine.change(power=60)
    evidence = watched.evidence(0.1)
    return evidence.verdict, {w.name: (w.rating, w.figure) for w in evidence.witnesses}


def test_memory_and_watts_of_its_own_prove_a_server(machine, served):
    machine.change(processes=((served.process.pid, 6 * GIB),))
    verdict, witnesses = loaded(served, machine)
    assert verdict == "proven"
    assert witnesses["memory on the GPU"] == (
        "supports",
        "6.00 GiB held by the server on NVIDIA A100-SXM4-40GB",
    )
    rating, figure = witnesses["power"]
    assert rating == "supports"
    assert figure.startswith("60.0 W before it was asked, ")


def test_watts_that_do_not_rise_say_nothing(machine, served):
    machine.change(processes=((served.process.pid, 6 * GIB),))
    _, witnesses = loaded(served, machine, watts=61.0)
    assert witnesses["power"][0] == "says nothing"


def test_watts_beside_a_stranger_say_nothing(machine, served):
    machine.change(processes=((served.process.pid, 6 * GIB), (STRANGER, GIB)))
    _, witnesses = loaded(served, machine)
    assert witnesses["power"][0] == "says nothing"
    assert "computes on this GPU too" in witnesses["power"][1]


def test_a_server_that_holds_nothing_there_has_no_witness_there(machine, served):
    machine.change(processes=((STRANGER, GIB),))
    verdict, witnesses = loaded(served, machine)
    assert verdict == "unknown"
    assert not witnesses.keys() & {"memory on the GPU", "power"}


def test_a_context_alone_is_no_model(machine, served):
    machine.change(processes=((served.process.pid, 1000),))
    assert loaded(served, machine)[1]["memory on the GPU"][0] == "says nothing"


def test_weights_on_a_card_speak_against_a_server_on_the_processor(machine, served):
    served.configuration["devices"][:] = ["cpu"]
    machine.change(processes=((served.process.pid, 6 * GIB),))
    _, witnesses = loaded(served, machine)
    assert witnesses["memory on the GPU"][0] == "speaks against"
    assert "power" not in witnesses


def test_what_nvml_does_not_tell_is_no_witness(machine, served):
    machine.change(processes=((served.process.pid, 6 * GIB),))
    machine.fails("*", 3)
    assert not loaded(served, machine)[1].keys() & {"memory on the GPU", "power"}
