"""A pipeline's figures are true: stages overlap, items keep their order, and the slowest stage sets the bound."""

from __future__ import annotations

import os
import threading
from itertools import pairwise
from random import Random
from time import sleep

import pytest
from pipeline_stages import add_pid, digest, rest, rest_longer, run, same

from pytest_gpuperf.pipeline import PipelineStage
from pytest_gpuperf.pipeline.stage import notes_on


@pytest.fixture(scope="module")
def overlapped():
    return run(("quick", rest), ("slow", rest_longer), ("last", rest), source=[1, 2, 3], budget=0.5)


@pytest.fixture(scope="module")
def one_by_one():
    return run(("quick", rest), ("slow", rest_longer), ("last", rest), source=[1, 2, 3], budget=0.5, overlap=False)


def test_overlapping_stages_are_as_fast_as_the_slowest_one(overlapped):
    assert overlapped.slowest.name == overlapped.bottleneck == "slow"
    assert overlapped.efficiency > 0.8
    assert overlapped.speedup > 1.3
    assert "workers=2" in overlapped.reason


def test_its_queues_show_where_items_wait(overlapped):
    before, after = overlapped.stage("slow").queue, overlapped.stage("last").queue
    assert before.full > 0.5 > before.empty
    assert after.empty > 0.5 > after.full
    assert 1 < before.mean <= before.capacity == overlapped.depth == 2


def test_a_stage_works_or_waits_for_items_or_for_room(overlapped):
    assert overlapped.stage("slow").busy_share > 0.7
    assert overlapped.stage("quick").room_share > 0.3
    assert overlapped.stage("last").input_share > 0.3
    assert overlapped.source.room_share > 0.8


def test_one_after_the_other_nothing_is_hidden(one_by_one, overlapped):
    assert one_by_one.seconds_per_item > 1.2 * overlapped.seconds_per_item
    assert one_by_one.seconds_per_item >= 0.9 * sum(stage.busy for stage in one_by_one.stages)
    assert one_by_one.depth == 0
    assert all(stage.queue is None for stage in one_by_one.stages)
    assert "Let the stages overlap" in one_by_one.reason


def test_an_item_waits_in_queues_from_when_the_source_gave_it(one_by_one, overlapped):
    assert overlapped.latency.mean > 2 * one_by_one.latency.mean
    assert overlapped.latency.p99 is None  # of so few items nobody knows it


def test_two_workers_halve_the_bound(overlapped):
    figures = run(PipelineStage("slow", rest_longer, workers=2), source=[1], budget=0.3)
    assert figures.slowest.bound < 0.75 * overlapped.slowest.bound
    assert figures.efficiency > 0.7


@pytest.mark.parametrize("where", ["thread", "process"])
def test_items_keep_their_order_whatever_their_workers_do(where):
    came: list[int] = []
    uneven = PipelineStage("uneven", same if where == "process" else _uneven, workers=3, where=where)
    run(uneven, ("note", came.append))
    assert len(came) > 20
    assert all(b - a == 1 for a, b in pairwise(came))


def _uneven(item):
    sleep(Random(item).random() * 0.004)
    return item


def test_a_process_is_another_one_and_ends_with_the_run():
    pids: set[int] = set()

    def note(item):
        pids.add(item[1])

    figures = run(PipelineStage("far", add_pid, workers=2, where="process"), ("note", note))
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert not any(_is_alive(pid) for pid in pids)
    assert figures.stage("far").hand_over_share > 0
    assert figures.stage("far").cpu is not None


def _is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_no_thread_is_left():
    before = threading.active_count()
    run(("a", same), ("b", same))
    assert threading.active_count() == before


def test_processor_time_is_of_the_stage_that_worked():
    figures = run(("rest", rest), ("digest", digest))
    assert figures.stage("digest").cpu > 2 * figures.stage("rest").cpu
    assert figures.core_bound == pytest.approx(figures.cpu / figures.cores)


def test_a_list_begins_anew_and_an_iterator_ends():
    assert run(("rest", rest), source=[1, 2]).passes > 5
    ended = run(("rest", rest), source=iter(range(60)), budget=10)
    assert ended.ended == "source ended"
    assert ended.passes == 1
    assert 0 < ended.excluded < 1
    assert ended.items < 60


def test_a_slow_source_is_the_bottleneck():
    figures = run(("quick", same), source=_slowly())
    assert figures.bottleneck == "source"
    assert "DataLoader" in figures.reason


def _slowly():
    while True:
        sleep(0.003)
        yield 1


def test_waiting_for_a_data_loaders_next_batch_is_its_busy_time():
    torch = pytest.importorskip("torch")

    class Slow(torch.utils.data.Dataset):
        def __len__(self):
            return 50

        def __getitem__(self, index):
            sleep(0.001)
            return index

    figures = run(("quick", same), source=torch.utils.data.DataLoader(Slow(), batch_size=4), batch=4)
    assert figures.source.busy > 0.004
    assert figures.bottleneck == "source"
    assert figures.throughput == pytest.approx(4 / figures.seconds_per_item)


def test_more_is_measured_until_the_figure_is_steady():
    steady = run(("rest", rest_longer), source=[1], budget=3.0)
    assert steady.seconds < 2.9 or steady.ended == "cap"


def test_slow_items_are_measured_before_the_queues_are_full_and_that_is_mentioned():
    figures = run(("slow", lambda _: sleep(0.02)), ("b", same), source=[1], queue=20, budget=0.2)
    assert any("before 43 items had come out" in note for note in figures.notes)


def test_more_workers_than_cores_are_mentioned():
    available = len(os.sched_getaffinity(0))
    (note,) = run(PipelineStage("many", same, workers=available + 1)).notes
    assert note.startswith(f"more workers than cores: stage 'many' has {available + 1} threads")
    (note,) = notes_on([PipelineStage(name, same, available, "process") for name in "ab"])
    assert f"{2 * available} processes of {2 * available} workers in all" in note
    assert not list(notes_on([PipelineStage("one", same)]))
