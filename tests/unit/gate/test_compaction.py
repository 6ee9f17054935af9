"""What is kept of a session: 16 block medians, in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_gpuperf.gate.compaction import block_medians


def test_sixteen_parts_in_order() -> None:
    assert block_medians(range(48)) == tuple(range(1, 48, 3))
    assert block_medians([1.0, 9.0, 2.0]) == (1.0, 9.0, 2.0)
    assert block_medians([]) == ()


@given(st.integers(1, 200))
def test_every_sample_is_in_one_nearly_equal_part(count: int) -> None:
    kept = block_medians(range(count))  # of consecutive numbers, a part's median is its middle
    assert len(kept) == min(16, count)
    sizes: list[int] = []
    start = 0
    for middle in kept:
        sizes.append(round(2 * (middle - start)) + 1)
        start += sizes[-1]
    assert start == count
    assert max(sizes) - min(sizes) <= 1


@given(st.lists(st.floats(1e-9, 1e3), min_size=16, max_size=16))
def test_sixteen_samples_stand_for_themselves(samples: list[float]) -> None:
    assert block_medians(samples) == tuple(samples)
