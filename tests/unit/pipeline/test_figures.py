"""Figures of stages and queues, from moments given by hand."""

from __future__ import annotations

from array import array
from threading import Thread

import pytest

from pytest_gpuperf.pipeline.buffer import Buffer, Passed, StoppedError, Tally
from pytest_gpuperf.pipeline.figures import Alone, Stretch, alone, queue_figures, stage_figures
from pytest_gpuperf.pipeline.steady import blocks_of
from pytest_gpuperf.pipeline.workers import Timeline
from pytest_gpuperf.records.latency import latency_of
from pytest_gpuperf.records.pipeline import PipelineFigures


def a_timeline(busy, cpu=(), waiting=(), room=()):
    """Of pairs of moments."""
    flat = (array("d", [moment for pair in pairs for moment in pair]) for pairs in (busy, waiting, room))
    worked, waited, held = flat
    return Timeline(busy=worked, cpu=array("d", cpu), input=waited, room=held)


def figures(*timelines, begin=0.0, end=10.0, items=5, where="thread"):
    return stage_figures("a", where, timelines, Alone(busy=1.0, cpu=0.5), Stretch(begin, end, items), None)


def test_only_what_lies_in_the_stretch_counts():
    one = figures(a_timeline([(-1, 1), (2, 4), (9, 13)], cpu=[1.0, 1.0, 4.0]))
    calls = 0.5 + 1 + 0.25  # one of them by half, one by a quarter
    assert one.busy == pytest.approx((1 + 2 + 1) / calls)
    assert one.cpu == pytest.approx((0.5 + 1 + 1) / calls)
    assert one.busy_share == pytest.approx(0.4)
    assert one.growth == pytest.approx(one.busy / 1.0)


def test_workers_add_up_and_share_the_bound():
    two = figures(a_timeline([(0, 10)]), a_timeline([(0, 5)]))
    assert two.busy == pytest.approx(7.5)
    assert two.bound == pytest.approx(3.75)
    assert two.busy_share == pytest.approx(0.75)


def test_who_waits_while_the_worker_still_works_does_not_wait():
    one = figures(a_timeline([(0, 4), (6, 10)], waiting=[(3, 7)], room=[(4, 5), (9, 12)]))
    assert one.input_share == pytest.approx(0.2)
    assert one.room_share == pytest.approx(0.1)
    assert one.hand_over_share == pytest.approx(0.0)


def test_a_worker_that_never_worked_only_waited():
    idle = figures(a_timeline([], waiting=[(0, 8)]))
    assert (idle.busy, idle.input_share) == (0.0, pytest.approx(0.8))
    assert idle.hand_over_share == pytest.approx(0.2)


def test_a_stream_has_no_processor_time():
    assert figures(a_timeline([(0, 1)]), where="stream").cpu is None


def test_alone_the_first_item_does_not_count_where_there_are_others():
    assert alone(a_timeline([(0, 9), (10, 11), (12, 15)], cpu=[9, 1, 2])) == Alone(busy=2.0, cpu=1.5)
    assert alone(a_timeline([(0, 9)])) == Alone(busy=9.0, cpu=0.0)


def test_a_queue_by_time():
    queue = queue_figures(4, Tally(10.0, 3.0, 1.0, 0.5), Tally(20.0, 23.0, 6.0, 2.5))
    assert (queue.mean, queue.full, queue.empty) == (pytest.approx(2.0), pytest.approx(0.5), pytest.approx(0.2))


def test_a_pipelines_figures_follow_from_its_stages():
    slow, quick = figures(a_timeline([(0, 2), (2, 4)])), figures(a_timeline([(0, 1), (1, 2)]))
    named = {"source": 0.1, "quick": 1.0, "slow": 1.0}
    source, *stages = (
        type(slow)(**{f: getattr(one, f) for f in one.__struct_fields__} | {"name": name, "alone": alone})
        for (name, alone), one in zip(named.items(), (quick, quick, slow), strict=True)
    )
    whole = PipelineFigures(
        overlap=True,
        depth=2,
        batch=8,
        source=source,
        stages=tuple(stages),
        items=5,
        seconds=12.5,
        excluded=0.1,
        passes=1,
        latency=latency_of([1.0]),
        cores=2,
        cpu=3.0,
        ended="cap",
        bottleneck="slow",
        reason="by hand",
    )
    assert whole.seconds_per_item == pytest.approx(2.5)
    assert whole.throughput == pytest.approx(8 / 2.5)
    assert whole.slowest.name == "slow"
    assert whole.efficiency == pytest.approx(2.0 / 2.5)
    assert whole.core_bound == pytest.approx(1.5)
    assert whole.one_after_the_other == pytest.approx(2.1)
    assert whole.speedup == pytest.approx(2.1 / 2.5)
    assert whole.stage("source") is source
    with pytest.raises(KeyError, match="no stage 'decode'; there are: source, quick, slow"):
        whole.stage("decode")


def test_samples_go_into_blocks_of_six():
    assert [len(block) for block in blocks_of(tuple(range(14)))] == [6, 6, 2]


def test_a_queue_gives_items_in_order_and_makes_room_for_the_next_one():
    queue = Buffer(2)
    queue.put(Passed(1, 0.0, "b"))
    assert queue.get(wait=False) is None
    late = Thread(target=queue.put, args=(Passed(2, 0.0, "c"),), daemon=True)
    late.start()  # two ahead of the one that is needed: it waits
    queue.put(Passed(0, 0.0, "a"))
    assert [queue.get().value for _ in range(3)] == ["a", "b", "c"]
    late.join(5)
    queue.end(3)
    assert queue.get() is None


def test_who_waits_at_a_queue_that_stops_gives_up():
    queue, gave_up = Buffer(1), []

    def wait(what):
        try:
            what()
        except StoppedError:
            gave_up.append(what)

    queue.put(Passed(0, 0.0, "a"))
    threads = [Thread(target=wait, args=(lambda: queue.put(Passed(1, 0.0, "b")),), daemon=True)]
    empty = Buffer(1)
    threads.append(Thread(target=wait, args=(empty.get,), daemon=True))
    for thread in threads:
        thread.start()
    queue.stop()
    empty.stop()
    for thread in threads:
        thread.join(5)
    assert len(gave_up) == 2
