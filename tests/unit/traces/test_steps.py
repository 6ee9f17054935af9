"""Steps, as programs mark them."""

from __future__ import annotations

import pytest
from made_traces import Chrome


def with_ranges(*ranges: tuple[str, float, float]) -> Chrome:
    trace = Chrome()
    for at in range(0, 400, 100):
        trace.kernel(at, 60)
    trace.copy(50, 30, stream=22)
    for name, start, length in ranges:
        trace.range(name, start, length)
    return trace


def test_torchs_steps_are_found_with_how_the_device_spent_each(tmp_path):
    analysis = with_ranges(("ProfilerStep#3", 0, 90), ("forward", 5, 10), ("ProfilerStep#4", 90, 110)).analysed(
        tmp_path
    )
    assert [s.name for s in analysis.steps] == ["ProfilerStep#3", "ProfilerStep#4"]
    first, second = (s.uses["cuda:0"] for s in analysis.steps)
    assert (first.seconds, first.compute, first.copy, first.both) == pytest.approx((90e-6, 60e-6, 30e-6, 10e-6))
    assert (first.exposed, first.idle) == pytest.approx((20e-6, 10e-6))
    assert second.compute == pytest.approx(60e-6)
    assert analysis.steps[1].start == pytest.approx(90e-6)


def test_without_them_the_outermost_range_that_repeats_is_the_step(tmp_path):
    analysis = with_ranges(
        *(("iteration 1", 0, 100), ("iteration 2", 100, 100)),
        *(("inner", 10, 30), ("inner", 110, 30), ("inner", 150, 30)),
        *(("warmup", 300, 20), ("warmup", 330, 20)),
        *(("enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", at, 100) for at in (200, 400)),
    ).analysed(tmp_path)
    assert [s.name for s in analysis.steps] == ["iteration 1", "iteration 2"]


def test_a_range_that_is_there_once_is_no_step(tmp_path):
    assert with_ranges(("inference", 0, 400)).analysed(tmp_path).steps == ()


def test_a_trace_without_ranges_has_no_steps(tmp_path):
    assert with_ranges().analysed(tmp_path).steps == ()
