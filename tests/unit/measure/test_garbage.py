from __future__ import annotations

import gc
import weakref

import pytest

from pytest_gpuperf.measure.quiet import _Collections, collector_off, lasting_objects_set_aside


class Node:
    def __init__(self) -> None:
        self.me = self


def cycle() -> weakref.ref[Node]:
    return weakref.ref(Node())


@pytest.fixture(autouse=True)
def nothing_set_aside():
    """This suite's own session has measuring tests in it, and then has set its objects aside."""
    before = gc.get_freeze_count()
    gc.unfreeze()
    yield
    gc.unfreeze()
    if before:
        gc.freeze()


def test_what_is_garbage_already_goes_before_anything_is_timed():
    garbage = cycle()
    with collector_off():
        assert garbage() is None


def test_whole_collections_take_a_small_part_of_the_time_and_young_garbage_goes_in_between():
    whole = []
    clock = iter([0.0, 0.0, 1.0, 20.9, 21.1, 22.1])  # made, then a collection of a second, a young one, a whole one
    collections = _Collections(lambda: next(clock))
    gc.callbacks.append(watch := lambda phase, told: phase == "start" and whole.append(told["generation"]))
    try:
        for _ in range(3):
            garbage = cycle()
            collections.collect()
            assert garbage() is None
    finally:
        gc.callbacks.remove(watch)
    assert whole == [2, 1, 2]


def test_what_was_there_is_not_looked_at_and_what_comes_is():
    there = len(gc.get_objects())
    assert there > 10_000
    with lasting_objects_set_aside():
        assert gc.get_freeze_count() > 0.9 * there
        garbage = cycle()
        assert garbage() is not None
        gc.collect()
        assert garbage() is None
    assert gc.get_freeze_count() == 0


def test_garbage_is_not_set_aside():
    garbage = cycle()
    with lasting_objects_set_aside():
        assert garbage() is None


def test_it_ends_with_an_error_too():
    with pytest.raises(KeyboardInterrupt), lasting_objects_set_aside():
        raise KeyboardInterrupt
    assert gc.get_freeze_count() == 0


def test_somebodys_own_objects_set_aside_stay_so():
    gc.freeze()
    before = gc.get_freeze_count()
    with lasting_objects_set_aside():
        pass
    assert gc.get_freeze_count() >= 0.9 * before
