"""Unions of intervals, beside a sweep that counts every moment."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pytest_gpuperf.traces.intervals import Union, both, union

INTERVALS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=12).map(sorted)


def moments(intervals: list[tuple[int, int]]) -> set[int]:
    return {moment for start, length in intervals for moment in range(start, start + length)}


def of(intervals: list[tuple[int, int]]) -> Union:
    start = np.array([start for start, _ in intervals], dtype=np.int64)
    return union(start, start + np.array([length for _, length in intervals], dtype=np.int64))


@given(INTERVALS)
def test_a_union_covers_each_moment_once(intervals):
    found = of(intervals)
    assert found.total == len(moments(intervals))
    assert moments(list(zip(found.start, found.end - found.start, strict=True))) == moments(intervals)
    assert (found.start[1:] > found.end[:-1]).all()


@given(INTERVALS, INTERVALS)
def test_both_are_the_moments_that_are_in_the_one_and_in_the_other(a, b):
    found = both(of(a), of(b))
    assert found.total == len(moments(a) & moments(b))


@given(INTERVALS, st.lists(st.tuples(st.integers(-5, 80), st.integers(0, 40)), max_size=5))
def test_a_union_within_windows_is_what_of_it_lies_there(intervals, windows):
    start = np.array([start for start, _ in windows], dtype=np.int64)
    end = start + np.array([length for _, length in windows], dtype=np.int64)
    expected = [len(moments(intervals) & set(range(s, e))) for s, e in zip(start, end, strict=True)]
    assert of(intervals).within(start, end).tolist() == expected
