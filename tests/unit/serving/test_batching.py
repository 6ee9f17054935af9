"""Requests that wait together run together, by Triton's rule."""

from __future__ import annotations

import threading

import pytest

from pytest_gpuperf.serving.batching import Batching, Queue

RULE = Batching(largest=8, preferred=(4, 8), delay=0.01)


@pytest.mark.parametrize(
    ("sizes", "waited", "count"),
    [
        ([], 1.0, 0),
        ([1], 0.0, 0),  # others may come
        ([1], 0.01, 1),  # nobody came
        ([1, 1, 1], 0.0, 0),
        ([1, 1, 1, 1], 0.0, 4),  # a preferred batch
        ([1] * 5, 0.0, 4),  # the largest preferred one
        ([1] * 9, 0.0, 8),
        ([2, 2, 2], 0.0, 2),
        ([3, 3], 0.0, 0),
        ([3, 3, 3], 0.0, 2),  # full, though never preferred
        ([3, 3], 0.02, 2),
        ([8], 0.0, 1),
        ([9], 0.0, 1),  # too large for any batch: alone
    ],
)
def test_what_runs_now(sizes, waited, count):
    assert RULE.take(sizes, waited) == count


def test_without_preferred_batches_everyone_runs_alone():
    assert Batching(largest=8).take([1, 1, 1, 1], 1.0) == 1


def test_requests_that_wait_form_a_batch_and_each_gets_its_own_answer():
    free, ran = threading.Event(), []

    def run(batch, left):
        free.wait()
        ran.append(len(batch))
        assert all(left >= one.since for one in batch)
        for one in batch:
            one.answer.set_result(one.asked * 2)

    queue = Queue(Batching(largest=8, preferred=(8,), delay=0.001), [run])
    answers = [queue.put(0, 8)]  # keeps the instance busy
    answers += [queue.put(n, 1) for n in range(1, 6)]
    free.set()
    assert [answer.result(10) for answer in answers] == [0, 2, 4, 6, 8, 10]
    assert ran == [1, 5]
    queue.close()


def test_a_batch_that_fails_is_an_answer_and_the_instance_goes_on():
    def run(batch, _):
        for one in batch:
            if one.asked is None:
                raise ValueError("no number")
            one.answer.set_result(one.asked)

    queue = Queue(Batching(largest=8), [run])
    with pytest.raises(ValueError, match="no number"):
        queue.put(None, 1).result(10)
    assert queue.put(3, 1).result(10) == 3
    queue.close()


def test_what_waits_is_answered_before_the_end():
    queue = Queue(
        Batching(largest=8, preferred=(8,), delay=0.5), [lambda batch, _: [b.answer.set_result(1) for b in batch]]
    )
    waiting = [queue.put(n, 1) for n in range(3)]
    assert queue.pending <= 3
    queue.close()
    assert [w.result(0) for w in waiting] == [1, 1, 1]
