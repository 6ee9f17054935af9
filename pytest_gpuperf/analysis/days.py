"""Sessions of one hour are alike: what days and cards add that a baseline's sessions cannot show by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_gpuperf.analysis.arrays import Floats
from pytest_gpuperf.analysis.evidence import Observed

HOUR = 3600.0
DAY_SPREAD = 0.005  # between clusters of sessions, until three are known
CARD_SPREAD = 0.01  # between cards of one kind
KNOWN = 3  # clusters from which on the data say how much they differ


@dataclass(frozen=True, slots=True)
class Unseen:
    """What days and cards add to the variance of a change."""

    days: float = 0.0  # times what days differ by, where the baseline has seen enough of them
    always: float = 0.0


def unseen(baseline: Sequence[Observed], candidate: Sequence[Observed]) -> Unseen:
    """What days and cards add to the variance of a change, where times and cards are given.

    From `KNOWN` clusters on the data say how much days differ. A session's own variance holds that already, as if
    every session had a day of its own: only the difference is added.
    """
    days = always = 0.0
    before, now = (clusters([s.time for s in side if s.time is not None]) for side in (baseline, candidate))
    if before and now:
        if len(before) >= KNOWN:
            days = max(1 / len(before) + 1 / len(now) - 1 / len(baseline) - 1 / len(candidate), 0.0)
        elif not any(low - HOUR <= t <= high + HOUR for t, _ in now for low, high in before):
            always += DAY_SPREAD**2 * (1 + 1 / len(before))
    cards = {s.card for s in baseline if s.card}
    here = {s.card for s in candidate if s.card}
    if cards and here - cards:
        always += CARD_SPREAD**2
    return Unseen(days, always)


def clusters(times: Sequence[float]) -> list[tuple[float, float]]:
    """First and last time of every group of sessions no more than an hour apart."""
    found: list[tuple[float, float]] = []
    for time in sorted(times):
        if found and time - found[-1][1] <= HOUR:
            found[-1] = found[-1][0], time
        else:
            found.append((time, time))
    return found


def day_variance(figures: Floats, owner: NDArray[np.int64], times: Floats, in_baseline: NDArray[np.bool_]) -> float:
    """Between clusters in time, beyond what sessions of one cluster differ by; pooled over all cases.

    A one-way analysis of variance: within clusters by the sessions of both sides, between them by the baseline's.
    """
    ordered = np.argsort(times)
    group = np.empty(times.size, dtype=np.int64)
    group[ordered] = np.concatenate([[0], np.cumsum(np.diff(times[ordered]) > HOUR)])
    _, cell = np.unique(owner * (times.size + 1) + group, return_inverse=True)
    sizes = np.bincount(cell)
    means = np.bincount(cell, figures) / sizes
    freedom = figures.size - sizes.size
    within = float(((figures - means[cell]) ** 2).sum()) / freedom if freedom else 0.0

    cells, first = np.unique(cell[in_baseline], return_index=True)
    case = owner[in_baseline][first]
    count: Floats = np.bincount(case, sizes[cells]).astype(np.float64)
    centre = np.bincount(case, sizes[cells] * means[cells]) / np.maximum(count, 1)
    between_freedom = cells.size - np.unique(case).size
    if not between_freedom:
        return 0.0
    square = float((sizes[cells] * (means[cells] - centre[case]) ** 2).sum()) / between_freedom
    usual = float(sizes[cells].sum() - (sizes[cells] ** 2 / count[case]).sum()) / between_freedom
    return max((square - within) / usual, 0.0)
