"""What a baseline keeps of a session: 16 block medians, in order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from pytest_gpuperf.records.model import MEDIANS


def block_medians(samples: Sequence[float]) -> tuple[float, ...]:
    """The medians of 16 consecutive, nearly equal parts of the samples; fewer samples stand for themselves."""
    return tuple([_middle(sorted(samples[a:b])) for a, b in _parts(len(samples))])


@cache  # a run's cases have few different counts, and ten thousand of them must stay cheap
def _parts(count: int) -> tuple[tuple[int, int], ...]:
    parts = min(MEDIANS, count)
    edges = [i * count // parts for i in range(parts + 1)] if parts else []
    return tuple(pairwise(edges))


def _middle(ordered: list[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
