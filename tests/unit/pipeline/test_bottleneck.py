"""The bottleneck is named from what was measured, with what to do about it."""

from __future__ import annotations

import pytest

from pytest_gpuperf.pipeline.bottleneck import Shown, find_bottleneck
from pytest_gpuperf.records.pipeline import QueueFigures, StageFigures

MS = 1e-3


def a_stage(name, busy, *, alone=None, cpu=0.1, where="thread", workers=1, full=0.0, empty=1.0, input_share=0.0):
    """Times in milliseconds; the queue before it is full and empty for so much of the time."""
    return StageFigures(
        name=name,
        where=where,
        workers=workers,
        busy=busy * MS,
        alone=(alone or busy) * MS,
        cpu=None if where == "stream" else cpu * MS,
        busy_share=min(1.0, busy / 10 / workers),
        input_share=input_share,
        room_share=0.0,
        queue=None if name == "source" else QueueFigures(capacity=2, mean=1.0, full=full, empty=empty),
    )


def found(*stages, cpu=1.0, own=1.0, cores=4, overlap=True, waited=0.0, source=0.1):
    """Of stages that give an item every ten milliseconds."""
    every = [a_stage("source", source), *stages]
    return find_bottleneck(
        Shown(
            stages=every,
            waited_alone=[waited * MS] * len(every),
            period=10 * MS,
            cpu=cpu * MS,
            own=own * MS,
            cores=cores,
            overlap=overlap,
        )
    )


def test_the_slowest_stage_with_items_before_it_and_none_behind():
    name, reason = found(a_stage("decode", 9.8, full=0.97), a_stage("model", 3.0, empty=0.95))
    assert name == "decode"
    assert reason == (
        "decode is busy for 98% of the time, the queue before it is full for 97%, the one behind it empty for 95%. "
        'Give it more threads: workers=2; if its work is Python code, where="process"'
    )


@pytest.mark.parametrize(
    ("stage", "remedy"),
    [
        (a_stage("a", 9.8, where="process"), "more processes: workers=2"),
        (a_stage("a", 29.0, where="process", workers=3), "workers=4"),
        (a_stage("a", 9.8, where="stream"), "The device is what limits"),
    ],
)
def test_the_remedy_fits_where_the_stage_runs(stage, remedy):
    name, reason = found(stage)
    assert name == "a"
    assert remedy in reason


def test_without_cores_left_more_workers_are_no_remedy():
    assert "little time left: make the stage itself faster" in found(a_stage("a", 9.8), cpu=34, cores=4)[1]


def test_a_slow_source():
    name, reason = found(a_stage("a", 1.0), source=9.9)
    assert name == "source"
    assert reason.endswith("let the source give faster (more workers of the DataLoader)")


def test_all_cores_at_work():
    name, reason = found(a_stage("a", 9.8, cpu=9), a_stage("b", 9.7, cpu=29), cpu=39)
    assert name == "cores"
    assert reason.startswith("4 cores worked 98% of the time, most of all for b.")


def test_a_stage_that_takes_longer_beside_others_and_waits_meanwhile():
    name, reason = found(a_stage("a", 9.8, alone=5.0, cpu=5.0), a_stage("b", 4.0), own=9.0, cpu=9.0)
    assert name == "gil"
    assert reason.startswith("a takes 2.0 times as long beside the other stages as alone (9.80 ms instead of 5.00 ms)")
    assert 'where="process"' in reason


@pytest.mark.parametrize(
    ("stage", "how"),
    [
        (a_stage("a", 9.8, alone=5.0, cpu=9.5), {"own": 9.0}),  # the processor works longer for it: memory, caches
        (a_stage("a", 9.8, alone=5.0, cpu=5.0), {"own": 3.0}),  # nobody held the interpreter
        (a_stage("a", 9.8, alone=5.0, cpu=5.0), {"own": 9.0, "waited": 5.0}),  # it waited alone too
        (a_stage("a", 9.8, alone=9.0, cpu=5.0), {"own": 9.0}),
        (a_stage("a", 9.8, alone=5.0, cpu=5.0, where="process"), {"own": 9.0}),
        (a_stage("a", 9.8, alone=5.0, cpu=5.0), {"own": 9.0, "cores": 1, "cpu": 5.0}),
    ],
)
def test_whatever_else_makes_a_stage_longer_is_not_the_interpreter(stage, how):
    assert found(stage, **how)[0] == "a"


def test_threads_that_take_turns_with_the_interpreter():
    name, reason = found(a_stage("a", 5.0), a_stage("b", 4.5), own=9.5, cpu=9.5)
    assert name == "gil"
    assert "used 95% of one core and no more" in reason


def test_items_that_wait_while_their_stage_is_not_busy_are_before_the_bottleneck():
    name, reason = found(a_stage("a", 6.0, full=0.95))
    assert name == "a"
    assert "in between its workers wait for a core, or for the interpreter" in reason


def test_nobody_is_busy():
    name, reason = found(a_stage("a", 6.0), a_stage("b", 5.0))
    assert name == "queues"
    assert reason.startswith("no stage is busy for more than 60% of the time (a): items wait for each other")
    assert found(a_stage("a", 0.1), own=9.5, cpu=9.5)[0] == "queues"  # handing on is all that it does


def test_items_travel_to_a_process_and_back():
    name, reason = found(a_stage("a", 1.0, where="process"), a_stage("b", 1.0, where="process", input_share=0.9))
    assert name == "queues"
    assert "passing items to the processes of a and back takes 90% of theirs" in reason


def test_one_after_the_other():
    name, reason = found(a_stage("a", 6.0), a_stage("b", 3.0), overlap=False)
    assert name == "a"
    assert reason.endswith(
        "a is 60% of the 10.0 ms that an item takes. Let the stages overlap: at best an item then takes 6.00 ms"
    )
