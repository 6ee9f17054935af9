"""What a device's last work waited for."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made_traces import Chrome


def parts(trace: Chrome, folder) -> dict[str, int]:
    (device,) = trace.analysed(folder).devices
    return {part: round(seconds * 1e6) for part, seconds in device.path.items()}


def test_kernels_one_behind_the_other_are_the_path(tmp_path):
    trace = Chrome()
    for number, start in enumerate((100, 150, 203), start=1):
        trace.launch(50 + number, correlation=number, length=1)
        trace.kernel(start, 50, correlation=number)
    assert parts(trace, tmp_path) == {"compute": 150, "launch": 3}


def test_what_ran_beside_the_last_work_is_not_on_it(tmp_path):
    trace = Chrome()
    trace.launch(90, correlation=1)
    trace.kernel(100, 80, correlation=1, stream=20, name="beside")
    trace.launch(91, correlation=2)
    trace.kernel(100, 100, correlation=2, name="last")
    (device,) = trace.analysed(tmp_path).devices
    assert {t.name: round(t.on_path * 1e6) for t in device.top} == {"last": 100, "beside": 0}


def test_a_late_launch_leads_back_through_the_host_to_the_wait(tmp_path):
    trace = Chrome()
    trace.launch(90, correlation=1)
    trace.kernel(100, 100, correlation=1)
    trace.call("cudaStreamSynchronize", 110, 94)  # until 204: the kernel had ended at 200
    trace.launch(250, correlation=2)
    trace.kernel(257, 43, correlation=2)
    assert parts(trace, tmp_path) == {"compute": 143, "synchronisation": 4, "host": 46, "launch": 7}


def test_a_wait_for_nothing_is_the_hosts_own_time(tmp_path):
    trace = Chrome()
    trace.launch(90, correlation=1)
    trace.kernel(100, 20, correlation=1)
    trace.call("cudaStreamSynchronize", 130, 5)
    trace.launch(250, correlation=2)
    trace.kernel(260, 40, correlation=2)
    assert parts(trace, tmp_path) == {"compute": 40, "host": 150, "launch": 10}


def test_a_thread_that_never_waits_goes_back_to_a_wait_of_another(tmp_path):
    trace = Chrome()
    trace.launch(90, correlation=1)
    trace.kernel(100, 100, correlation=1)
    trace.call("cudaStreamSynchronize", 110, 92)
    trace.launch(250, correlation=2, thread=5)  # autograd launches from a thread of its own
    trace.kernel(260, 40, correlation=2)
    assert parts(trace, tmp_path) == {"compute": 140, "synchronisation": 2, "host": 48, "launch": 10}


def test_a_stream_that_was_made_to_wait_leads_to_the_other_stream(tmp_path):
    trace = Chrome()
    trace.call("cudaMemcpyAsync", 90, 5, correlation=1)
    trace.copy(100, 100, correlation=1, stream=22)
    trace.call("cudaStreamWaitEvent", 96, 1)
    trace.launch(98, correlation=2)
    trace.kernel(202, 50, correlation=2)
    assert parts(trace, tmp_path) == {"copy": 100, "launch": 2, "compute": 50}


def test_work_that_stood_in_the_queue_for_long_depended_on_something(tmp_path):
    trace = Chrome()
    for number, start in enumerate((100, 900), start=1):
        trace.launch(80 + 5 * number, correlation=number, length=1)
        trace.kernel(start, 50, correlation=number)
    assert parts(trace, tmp_path) == {"compute": 100, "dependency": 750}


def test_work_without_its_call_goes_back_on_its_stream(tmp_path):
    trace = Chrome()
    trace.launch(90, correlation=1)
    trace.kernel(100, 100, correlation=1)
    trace.kernel(220, 30)
    assert parts(trace, tmp_path) == {"compute": 130, "launch": 20}


PIECES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(0, 60), st.sampled_from("ksw")),
    min_size=1,
    max_size=25,
)


@given(PIECES)
@settings(max_examples=80, deadline=None)
def test_each_moment_of_the_devices_time_is_in_one_part(pieces):
    """Whatever the host does: launch a kernel that runs when its stream is free, wait, or make a stream wait."""
    trace, now, free = Chrome(), 0, dict.fromkeys(range(4), 0)
    for number, (stream, pause, length, kind) in enumerate(pieces, start=1):
        now += pause
        if kind == "w":
            trace.call("cudaStreamWaitEvent", now, 1)
            free[stream] = max(free.values())
        elif kind == "s":
            until = max(now, *free.values()) + 2
            trace.call("cudaDeviceSynchronize", now, until - now)
            now = until
        else:
            start = max(now + 3, free[stream])
            trace.launch(now, correlation=number, length=1)
            trace.kernel(start, length, correlation=number, stream=stream)
            free[stream] = start + length
    assume(any(event["cat"] == "kernel" for event in trace.events))
    with tempfile.TemporaryDirectory() as folder:
        (device,) = trace.analysed(Path(folder)).devices
    assert sum(device.path.values()) == pytest.approx(device.use.seconds, abs=1e-12)
