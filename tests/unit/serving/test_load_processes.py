"""The load generator's processes: none is left behind, and the death of one is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from scripted_server import WIDTH, scripted

from pytest_gpuperf.errors import MeasurementError
from pytest_gpuperf.serving.load_server import LoadPlan, load_server

X = [np.zeros((1, WIDTH), np.float32)]
ENDLESS = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # who was started in the background ignores it
import numpy as np
from pytest_gpuperf.serving.load_server import LoadPlan, load_server
from pytest_gpuperf.serving.server import Server
server = Server(name="s", kind="remote", url=sys.argv[1], model="doubler")
load_server(server, [np.zeros((1, 4), np.float32)], LoadPlan(concurrency=4, processes=2, window_seconds=600.0))
"""


def workers_of(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [int(c) for c in children if b"serving.asking" in _command(int(c))]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def soon(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    return condition()


def test_a_process_of_the_load_generator_loads_nothing_heavy():
    script = (
        "import sys, pytest_gpuperf.serving.worker; print({'torch', 'numpy', 'scipy'} & set(sys.modules) or 'none')"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed == "none\n"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_whoever_asked_for_the_load_may_end_in_any_way(how):
    with scripted(service=0.001) as (script, handle):
        asking = subprocess.Popen([sys.executable, "-c", ENDLESS, handle.url], stderr=subprocess.PIPE)
        try:
            workers = soon(lambda: len(workers_of(asking.pid)) == 2 and script.served > 50 and workers_of(asking.pid))
            assert workers
            asking.send_signal(how)
            asking.communicate(timeout=20)
        finally:
            asking.kill()
        assert soon(lambda: not any(b"serving.asking" in _command(pid) for pid in workers))


def test_a_process_that_dies_ends_the_load_with_what_it_said():
    with scripted(service=0.001) as (script, handle):

        def kill():
            (worker,) = soon(lambda: script.served > 20 and workers_of(os.getpid()))
            os.kill(worker, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(MeasurementError, match="ended with code -9"):
            load_server(handle, X, LoadPlan(concurrency=2, processes=1, window_seconds=60.0))
        killer.join()
    assert not workers_of(os.getpid())


def test_a_client_that_cannot_keep_up_says_so():
    """The process is stopped half of the time: requests are sent late although connections were free."""
    over = threading.Event()

    def hinder():
        (worker,) = soon(lambda: workers_of(os.getpid()))
        while not over.wait(0.1):
            for what, seconds in ((signal.SIGSTOP, 0.1), (signal.SIGCONT, 0.0)):
                try:
                    os.kill(worker, what)
                except ProcessLookupError:
                    return
                time.sleep(seconds)

    hinderer = threading.Thread(target=hinder)
    hinderer.start()
    with scripted() as (_, handle):
        plan = LoadPlan(concurrency=32, rate=100.0, arrivals="constant", requests=20, window_seconds=0.2, processes=1)
        load = load_server(handle, X, plan).load
    over.set()
    hinderer.join()
    assert load.client.late > 0.1
    assert load.client_limited
