"""What compiling took: how the cache was, and when it has paid."""

from __future__ import annotations

import pytest

from pytest_gpuperf.records.compile_cost import CompileCost


def a_cost(**changes) -> CompileCost:
    return CompileCost(**({"ready_in": 12.0, "in_compiler": 11.0, "graphs": 1} | changes))


@pytest.mark.parametrize(
    ("hits", "misses", "cache"), [(0, 0, None), (0, 2, "cold"), (2, 0, "warm"), (1, 2, "partly warm")]
)
def test_the_cache_is_what_the_graphs_found_in_it(hits, misses, cache):
    assert a_cost(cache_hits=hits, cache_misses=misses).cache == cache


def test_break_even_is_what_it_took_over_what_a_call_saves():
    assert a_cost().break_even(eager=0.010, compiled=0.004) == pytest.approx(2000)


@pytest.mark.parametrize("compiled", [0.010, 0.0101])
def test_what_is_not_faster_never_pays(compiled):
    assert a_cost().break_even(eager=0.010, compiled=compiled) is None


def test_breaks_are_counted_whatever_their_reason():
    assert a_cost().breaks == 0
    assert a_cost(graph_breaks={"print": 2, "item": 1}).breaks == 3
