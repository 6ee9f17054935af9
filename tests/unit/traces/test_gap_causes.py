"""Why a device was idle, for each cause in a trace that has only that one."""

from __future__ import annotations

import pytest
from made_traces import Chrome

MICRO = 1e-6


def the_gap(trace: Chrome, folder):
    """The longest, and the only one with its cause."""
    (device,) = trace.analysed(folder).devices
    gap = device.gaps[0]
    assert device.idle[gap.cause] == pytest.approx(gap.seconds)
    return gap


def two_kernels(*, launched: float, start: float = 300, length: float = 5) -> Chrome:
    """A kernel from 100 to 200, and a second one."""
    trace = Chrome()
    trace.launch(90, correlation=1)
    trace.kernel(100, 100, correlation=1, name="first")
    trace.launch(launched, correlation=2, length=length)
    trace.kernel(start, 50, correlation=2, name="second")
    return trace


def test_a_host_that_launches_late_and_runs_other_code(tmp_path):
    trace = two_kernels(launched=290)
    trace.operator("aten::nonzero", 205, 80)
    gap = the_gap(trace, tmp_path)
    assert (gap.cause, gap.before, gap.after, gap.host) == ("host", "first", "second", "aten::nonzero")
    assert (gap.start, gap.seconds) == pytest.approx((110 * MICRO, 100 * MICRO))  # the trace begins at 90


def test_what_the_host_did_has_no_name_where_nothing_took_half_of_the_gap(tmp_path):
    trace = two_kernels(launched=290)
    trace.operator("aten::nonzero", 205, 20)
    assert the_gap(trace, tmp_path).host is None


def test_of_ranges_within_each_other_the_shortest_names_what_the_host_did(tmp_path):
    trace = two_kernels(launched=290)
    trace.range("ProfilerStep#1", 0, 1000)
    trace.range("postprocess", 195, 90)
    assert the_gap(trace, tmp_path).host == "postprocess"


def test_a_host_that_had_waited_for_the_device(tmp_path):
    trace = two_kernels(launched=220, start=230)
    trace.call("cudaStreamSynchronize", 96, 110)
    gap = the_gap(trace, tmp_path)
    assert (gap.cause, gap.host) == ("synchronisation", "cudaStreamSynchronize")


def test_a_copy_that_blocked_its_call_was_a_wait(tmp_path):
    trace = two_kernels(launched=260, start=270)
    trace.call("cudaMemcpyAsync", 96, 120, correlation=3)
    trace.copy(200, 10, correlation=3, name="Memcpy DtoH (Device -> Pageable)")
    gap = the_gap(trace, tmp_path)
    assert (gap.cause, gap.host) == ("synchronisation", "cudaMemcpyAsync")


def test_a_wait_that_was_short_is_not_why_the_host_was_late(tmp_path):
    trace = two_kernels(launched=290)
    trace.call("cudaDeviceSynchronize", 180, 22)
    assert the_gap(trace, tmp_path).cause == "host"


def test_a_launch_after_the_wait_shows_that_the_host_went_on(tmp_path):
    trace = two_kernels(launched=290)
    trace.call("cudaDeviceSynchronize", 92, 100)
    trace.launch(195, correlation=3)
    trace.kernel(202, 1, correlation=3, name="small")
    assert the_gap(trace, tmp_path).cause == "host"


@pytest.mark.parametrize("name", ["enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__", "load_batch"])
def test_a_host_that_waited_for_its_next_input(tmp_path, name):
    trace = two_kernels(launched=290)
    trace.call("cudaDeviceSynchronize", 96, 106)
    trace.range(name, 205, 60)
    gap = the_gap(trace, tmp_path)
    assert (gap.cause, gap.host) == ("data", name)


def test_data_on_another_thread_keeps_nobody_waiting(tmp_path):
    trace = two_kernels(launched=290)
    trace.range("load_batch", 205, 60, thread=5)
    assert the_gap(trace, tmp_path).cause == "host"


def test_launching_that_took_longer_than_the_host_was_late(tmp_path):
    assert the_gap(two_kernels(launched=205, start=220), tmp_path).cause == "launch"


def test_work_that_was_launched_before_the_gap_began(tmp_path):
    assert the_gap(two_kernels(launched=150, start=203), tmp_path).cause == "launch"


def test_work_whose_stream_waited_for_another(tmp_path):
    trace = two_kernels(launched=150, start=203)
    trace.call("cudaStreamWaitEvent", 140, 2)
    assert the_gap(trace, tmp_path).cause == "dependency"


def test_a_wait_of_a_stream_after_the_launch_is_of_later_work(tmp_path):
    trace = two_kernels(launched=150, start=203)
    trace.call("cudaStreamWaitEvent", 160, 2)
    assert the_gap(trace, tmp_path).cause == "launch"


def test_work_that_stood_in_the_queue_for_far_longer_than_launching_takes(tmp_path):
    assert the_gap(two_kernels(launched=150, start=900), tmp_path).cause == "dependency"


def test_a_launch_call_that_took_long_is_launching(tmp_path):
    assert the_gap(two_kernels(launched=190, start=900, length=705), tmp_path).cause == "launch"


def test_launching_that_is_always_slow_here_is_no_stall(tmp_path):
    trace = Chrome()
    for number in range(1, 6):
        trace.launch(1000 * number, correlation=number)
        trace.kernel(1000 * number + 400, 10, correlation=number)
    (device,) = trace.analysed(tmp_path).devices
    assert set(device.idle) == {"host"}


def test_a_call_that_is_not_in_the_trace(tmp_path):
    trace = two_kernels(launched=150)
    trace.kernel(600, 10, correlation=99)
    trace.kernel(620, 10)
    analysis = trace.analysed(tmp_path)
    assert analysis.devices[0].gaps[0].cause == "unknown"
    assert analysis.notes == ("The calls that launched 2 of 4 kernels and copies are not in it.",)


def test_a_clock_of_the_host_that_is_late_makes_no_negative_time(tmp_path):
    gap = the_gap(two_kernels(launched=302, start=300), tmp_path)
    assert (gap.cause, gap.seconds) == ("host", pytest.approx(100 * MICRO))


def test_the_first_of_two_calls_with_the_same_id_is_the_launch(tmp_path):
    trace = two_kernels(launched=150, start=203)
    trace.call("cuLaunchKernel", 201, 1, correlation=2)
    assert the_gap(trace, tmp_path).cause == "launch"
