"""How a device spent its time, on traces whose truth is known."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_traces import Chrome

from pytest_gpuperf.records.trace_analysis import TraceAnalysis

MICRO = 1e-6
LANES = st.sampled_from(["kernel", "other stream", "copy", "fill"])


@given(st.lists(st.tuples(LANES, st.integers(0, 80), st.integers(0, 15)), min_size=1, max_size=14))
@settings(max_examples=60, deadline=None)
def test_times_are_those_of_a_sweep_over_every_moment(activities):
    trace = Chrome()
    compute, copy = set(), set()
    for lane, start, length in activities:
        if lane in {"kernel", "other stream"}:
            trace.kernel(start, length, stream=7 if lane == "kernel" else 20)
        else:
            trace.copy(start, length, name="Memset (Device)" if lane == "fill" else "Memcpy DtoH (Device -> Pinned)")
        (compute if "copy" not in lane and lane != "fill" else copy).update(range(start, start + length))
    first = min(start for _, start, _ in activities)
    last = max(start + length for _, start, length in activities)
    with tempfile.TemporaryDirectory() as folder:
        (device,) = trace.analysed(Path(folder)).devices
    found = device.use
    exact = pytest.approx
    assert found.seconds == exact((last - first) * MICRO)
    assert found.compute == exact(len(compute) * MICRO)
    assert found.copy == exact(len(copy) * MICRO)
    assert found.both == exact(len(compute & copy) * MICRO)
    assert found.exposed == exact(len(copy - compute) * MICRO, abs=1e-15)
    idle = set(range(first, last)) - compute - copy
    assert found.idle == exact(len(idle) * MICRO, abs=1e-15)
    assert sum(device.idle.values()) == exact(len(idle) * MICRO)
    assert sum(gap.seconds for gap in device.gaps) == exact(len(idle) * MICRO)
    moments = {start for _, start, length in activities if not length}  # what takes no time parts two gaps
    assert len(device.gaps) == sum(at - 1 not in idle or at in moments for at in idle)


def three_kernels() -> Chrome:
    trace = Chrome()
    for number, (name, start, length, stream) in enumerate(
        [("gemm", 100, 50, 7), ("void add<float>(float*)", 120, 10, 20), ("gemm", 180, 20, 7)], start=1
    ):
        trace.launch(start - 8, correlation=number)
        trace.kernel(start, length, correlation=number, name=name, stream=stream)
    trace.copy(140, 30, stream=22, size=3_000_000, name="Memcpy HtoD (Pageable -> Device)")
    trace.copy(195, 10, stream=22, size=1_000_000, name="Memcpy HtoD (Pinned -> Device)")
    trace.copy(90, 5, size=None, name="Memset (Device)")
    return trace


def device_of(analysis: TraceAnalysis):
    (device,) = analysis.devices
    return device


def test_kernels_copies_and_streams_are_counted(tmp_path):
    analysis = three_kernels().analysed(tmp_path)
    device = device_of(analysis)
    assert (analysis.tool, analysis.schema, analysis.file) == ("torch.profiler", "1", "trace.json")
    assert analysis.seconds == pytest.approx(115e-6)  # from the fill, before which nothing is, to the last copy
    assert (device.device, device.name, device.kernels) == ("cuda:0", "NVIDIA A100-PG509-200", 3)
    assert device.kernel_seconds == pytest.approx(80e-6)
    assert [(t.name, t.count, round(t.seconds * 1e6)) for t in device.top] == [("gemm", 2, 70), ("add fp32", 1, 10)]
    to_device, fill = device.copies
    assert (to_device.kind, to_device.count, to_device.bytes, to_device.pageable) == ("host to device", 2, 4_000_000, 1)
    assert to_device.bandwidth == pytest.approx(4_000_000 / 40e-6)
    assert (fill.kind, fill.count, fill.bytes, fill.bandwidth) == ("fill", 1, None, None)
    streams = {s.stream: (s.kernels, s.copies, round(s.busy * 1e6)) for s in device.streams}
    assert streams == {"7": (2, 1, 75), "20": (1, 0, 10), "22": (0, 2, 40)}


def test_a_copy_of_an_unknown_kind_keeps_its_name(tmp_path):
    trace = Chrome()
    trace.copy(0, 5, name="Memcpy (sparse)")
    trace.copy(9, 5, name="Memcpy PtoP (Device -> Device)")
    assert {c.kind for c in device_of(trace.analysed(tmp_path)).copies} == {"Memcpy (sparse)", "peer to peer"}


def test_several_devices_are_apart_and_in_order(tmp_path):
    trace = Chrome()
    for device in (10, 0, 2):
        trace.kernel(100 * device, 10, device=device)
        trace.kernel(100 * device + 30, 10, device=device)
    devices = trace.analysed(tmp_path).devices
    assert [d.device for d in devices] == ["cuda:0", "cuda:2", "cuda:10"]
    assert [d.name for d in devices] == ["NVIDIA A100-PG509-200", None, None]
    assert [(round(d.start * 1e6), round(d.use.idle * 1e6)) for d in devices] == [(0, 20), (200, 20), (1000, 20)]


def test_a_trace_without_calls_says_that_causes_are_unknown(tmp_path):
    trace = Chrome()
    trace.kernel(0, 10, correlation=1)
    trace.kernel(30, 10, correlation=2)
    analysis = trace.analysed(tmp_path)
    assert analysis.notes == ("It does not hold the calls that launched this work: why a device waited is unknown.",)
    assert set(device_of(analysis).idle) == {"unknown"}
    assert device_of(analysis).path == {}
    assert device_of(analysis).top[0].on_path is None


def test_a_trace_of_the_processor_counts_the_outermost_operators(tmp_path):
    trace = Chrome()
    trace.operator("aten::linear", 0, 100)
    trace.operator("aten::addmm", 10, 80)
    trace.operator("aten::relu", 150, 50)
    trace.operator("aten::sum", 90, 20, thread=5)
    trace.range("enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", 112, 30)
    analysis = trace.analysed(tmp_path)
    device = device_of(analysis)
    assert analysis.notes[0] == "It holds no kernel and no copy: what a GPU did is unknown, which is not idle."
    assert (device.device, device.name, device.kernels, device.path) == ("cpu", None, 3, {})
    assert device.use.compute == pytest.approx(160e-6)
    assert device.kernel_seconds == pytest.approx(170e-6)
    assert [t.name for t in device.top] == ["aten::linear", "aten::relu", "aten::sum"]
    assert {s.stream: s.kernels for s in device.streams} == {"4711": 2, "5": 1}
    assert device.idle == {"data": pytest.approx(40e-6)}
    assert device.gaps[0].host == "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__"


def test_the_processor_that_waits_for_no_data_runs_other_code(tmp_path):
    trace = Chrome()
    trace.operator("aten::linear", 0, 10)
    trace.operator("aten::relu", 50, 10)
    assert device_of(trace.analysed(tmp_path)).idle == {"host": pytest.approx(40e-6)}


def test_operators_that_come_inside_out_are_sorted_out(tmp_path):
    trace = Chrome()
    trace.operator("aten::addmm", 0, 80)
    trace.operator("aten::linear", 0, 100)
    trace.operator("aten::mul", 20, 80)
    assert [t.name for t in device_of(trace.analysed(tmp_path)).top] == ["aten::linear"]


def test_the_rank_of_a_distributed_run_is_in_the_notes(tmp_path):
    analysis = three_kernels().analysed(tmp_path, distributedInfo={"rank": 3, "world_size": 8})
    assert analysis.notes[0] == "This is rank 3 of 8 of a distributed run."
    analysis = three_kernels().analysed(tmp_path, distributedInfo={"rank": 3})
    assert analysis.notes[0] == "This is rank 3 of a distributed run."


def test_of_many_gaps_the_longest_are_kept_and_all_are_summed(tmp_path):
    trace = Chrome()
    at = 0
    for number in range(80):
        trace.kernel(at, 1)
        at += 2 + number
    device = device_of(trace.analysed(tmp_path))
    assert len(device.gaps) == 50
    assert [round(g.seconds * 1e6) for g in device.gaps[:3]] == [79, 78, 77]
    assert sum(device.idle.values()) == pytest.approx(device.use.idle)
