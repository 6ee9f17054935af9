"""Two traces side by side, in sentences and tables."""

from __future__ import annotations

from analyses import GEMM, RELU, STEP, a_device, a_use, an_analysis, changed, steps

from pytest_gpuperf.comparison.trace_change import judged, trace_change
from pytest_gpuperf.records.trace_analysis import KernelTime
from pytest_gpuperf.reports.document import as_text
from pytest_gpuperf.reports.trace_change_report import change_document

BEFORE = an_analysis(steps=steps([STEP] * 10))


def shown(before, after, tolerance=None):
    change = trace_change(before, after)
    change = change if tolerance is None else judged(change, tolerance)
    return [" ".join(line.split()) for line in as_text(change_document(before, after, change), 250).splitlines()]


def slower(*kernels, count=10, **fields):
    device = a_device(use=a_use(1.1, 0.7), top=kernels) if kernels else a_device()
    usual = {"file": "after.json", "sha256": "f" * 64, "steps": steps([1.1 * STEP] * count)}
    return an_analysis(device, **(usual | fields))


def test_the_change_stands_first_with_its_verdict_and_its_kernel():
    longer = slower(KernelTime(name=GEMM, count=10, seconds=0.6), KernelTime(name=RELU, count=20, seconds=0.15))
    lines = shown(BEFORE, longer, 0.03)
    assert lines[3] == (
        "- 100.0 ms -> 110.0 ms a step, 10.0% slower (95% interval +10.0% to +10.0%): the median of 8 steps and 8 "
        "steps called ProfilerStep, without the first 2 of each, which warm up"
    )
    assert lines[4] == "- regressed: 10.0% slower, and 3% is tolerated"
    assert lines[5].startswith(f"- why: the same kernels, and one of them slower: {GEMM}")
    assert any("Two profiles are weak proof" in line and "`gpuperf ab BASE HEAD" in line for line in lines)
    assert f"{GEMM} 10 500 ms 600 ms +20.0% grew" in lines
    assert not any(line.startswith(RELU) for line in lines), "it did not change"
    assert "computed 60.00 ms 66.00 ms +10.0%" in lines


def test_few_steps_and_no_steps_say_that_nothing_is_known_of_their_spread():
    few = changed(BEFORE, steps=steps([STEP] * 3)), slower(steps=steps([1.1 * STEP] * 3))
    assert shown(*few)[3].endswith(
        "(no interval: too few steps): the median of 2 steps and 2 steps called ProfilerStep, without the first one of "
        "each, which warm up"
    )
    two = changed(BEFORE, steps=steps([STEP] * 2)), slower(steps=steps([1.1 * STEP] * 2))
    assert shown(*two)[3].endswith("the median of 2 steps and 2 steps called ProfilerStep")
    none = changed(BEFORE, steps=()), slower(steps=())
    lines = shown(*none)
    assert lines[3] == (
        "- 1.000 s -> 1.000 s from the first kernel or copy to the last, 0.0% slower (no steps are marked, so no "
        "interval is known)"
    )
    assert lines[4] == "- why: nothing in the two traces tells"
    assert "cuda:0, the whole trace" in lines
    assert "cuda:0, idle by cause" in lines


def test_what_is_to_be_known_stands_before_the_tables():
    lines = shown(BEFORE, changed(BEFORE, notes=("it ends too early",)))
    assert lines[lines.index("To be known") + 2] == "- step.json.gz: it ends too early"


def test_a_figure_that_was_nothing_has_no_ratio():
    before = an_analysis(a_device(use=a_use(copy=0.0, both=0.0), idle={}), steps=())
    lines = shown(before, slower(steps=()))
    assert "exposed copies 0 s 100.0 ms -" in lines
    assert not any("idle by cause" in line for line in shown(before, before))


def test_kernels_of_traces_with_other_numbers_of_steps_are_scaled_and_it_says_so():
    kernels = tuple(KernelTime(name=f"k{n}", count=1, seconds=0.1) for n in range(15))
    lines = shown(BEFORE, slower(*kernels, count=20))
    assert lines[3].endswith("without the first 2 and the first 3, which warm up")
    assert "- before is scaled to as many steps as after has" in lines
    assert any(line.endswith(" more, each of them changed by less") for line in lines)
