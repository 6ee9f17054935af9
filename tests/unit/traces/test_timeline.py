"""What a page draws of a trace."""

from __future__ import annotations

import random

import pytest
from made_traces import Chrome

from pytest_gpuperf.traces.analyse import analyse
from pytest_gpuperf.traces.timeline import MOST


def timeline(trace: Chrome, folder):
    path = folder / "trace.json"
    path.write_text(trace.text())
    return analyse(path).timeline()


def test_a_small_trace_is_drawn_as_it_is(tmp_path):
    trace = Chrome()
    trace.range("ProfilerStep#1", 0, 300)
    trace.launch(90, correlation=1)
    trace.kernel(100, 100, correlation=1)
    trace.copy(230, 50, stream=22)
    found = timeline(trace, tmp_path)
    lanes = {(lane.device, lane.name): lane for lane in found.lanes}
    assert list(lanes) == [
        ("host", "steps"),
        ("host", "thread 4711"),
        ("cuda:0", "stream 7"),
        ("cuda:0", "stream 22"),
        ("cuda:0", "idle"),
    ]
    idle = lanes["cuda:0", "idle"]
    assert (idle.starts[0], idle.seconds[0], idle.counts) == (pytest.approx(200e-6), pytest.approx(30e-6), (1,))
    assert [found.names[lane.names[0]] for lane in lanes.values()] == [
        "ProfilerStep#1",
        "cudaLaunchKernel",
        "gemm",
        "Memcpy HtoD (Pinned -> Device)",
        "unknown",
    ]


def test_a_processors_lanes_are_threads(tmp_path):
    trace = Chrome()
    trace.operator("aten::relu", 0, 5)
    assert [(lane.device, lane.name) for lane in timeline(trace, tmp_path).lanes] == [("cpu", "thread 4711")]


def test_of_too_many_the_longest_stay_and_short_ones_close_together_are_one(tmp_path):
    trace, draw, at = Chrome(), random.Random(1), 0.0
    for number in range(15_000):
        at += draw.choice((0.5, 0.5, 0.5, 3.0))
        length = 1000.0 if number % 1000 == 500 else draw.uniform(0.5, 2)
        trace.kernel(at, length, name="long" if length == 1000.0 else "short")
        at += length
    trace.range("ProfilerStep#1", 0, 100)
    found = timeline(trace, tmp_path)
    assert sum(len(lane.starts) for lane in found.lanes) <= MOST
    (stream,) = (lane for lane in found.lanes if lane.name == "stream 7")
    assert sum(stream.counts) == 15_000
    kept = [n for n, name in enumerate(stream.names) if found.names[name] == "long"]
    assert len(kept) == 15
    assert {round(stream.seconds[n] * 1e6) for n in kept} == {1000}
    assert {stream.counts[n] for n in kept} == {1}
    ends = [start + length for start, length in zip(stream.starts, stream.seconds, strict=True)]
    assert all(start >= end - 1e-12 for start, end in zip(stream.starts[1:], ends, strict=False))
    assert next(lane for lane in found.lanes if lane.name == "steps").counts == (1,)
