"""What a baseline keeps of a session: 16 block medians, in order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from pytest_gpuperf.results.records import MEDIANS


def block_medians(samples: Sequence[float]) -> tuple[float, ...]:
    """The medians of 16 consecutive, nearly equal parts of the samples; fewer samples stand for themselves."""
    count = len(samples)
    parts = min(MEDIANS, count)
    edges = [i * count // parts for i in range(parts + 1)] if parts else []
    return tuple(median(samples[a:b]) for a, b in pairwise(edges))
