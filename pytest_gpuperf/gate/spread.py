"""How much sessions of the same code differ: what they share, and what is a case's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import polygamma, stdtrit

from pytest_gpuperf.gate.arrays import Floats
from pytest_gpuperf.gate.observations import Observed

BOUND = 0.95  # the confidence of one end of the interval that is shown, and of "unchanged"
_ACQUITTED = 0.84  # standard errors: unchanged code is acquitted by the margin in four of five cases
HOUR = 3600.0
DAY_SPREAD = 0.005  # between clusters of sessions, until three are known
CARD_SPREAD = 0.01  # between cards of one kind
KNOWN = 3  # clusters from which on the data say how much they differ
USUAL = 0.012  # standard deviation between sessions of one case, believed before there is any ...
USUAL_WEIGHT = 6.0  # ... as much as this many degrees of freedom
FLOOR = 0.002  # no machine is steadier than its own measurement
POOL_FROM = 8  # cases from which on what they share can be separated from what is their own
POOL_MOST = 10.0  # degrees of freedom that the other cases may lend to one: no more, since sessions have heavy tails


def student(confidence: float, freedom: Floats | float) -> Floats:
    """The one-sided quantile."""
    return np.asarray(stdtrit(np.asarray(freedom, dtype=np.float64), confidence), dtype=np.float64)


def middle_of_variances(freedom: float) -> float:
    """The median of an estimated variance, over that variance; after Wilson and Hilferty."""
    return (1 - 2 / (9 * freedom)) ** 3


def margin_for_error(error: Floats, freedom: Floats | float, least: Floats | float, most: Floats | float) -> Floats:
    """The smallest log margin that would acquit unchanged code by evidence of that error, within the given limits.

    It depends on how much the evidence wanders and never on what it says, so that it cannot favour a verdict.
    """
    return np.clip((student(BOUND, freedom) + _ACQUITTED) * error, least, most)


@dataclass(frozen=True, slots=True)
class ExtraVariance:
    """What days and cards add to the variance of a change."""

    days: float = 0.0  # factor of the variance between days, where the baseline has enough of them to know it
    always: float = 0.0


def extra_variance(baseline: Sequence[Observed], candidate: Sequence[Observed]) -> ExtraVariance:
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
    return ExtraVariance(days, always)


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


@dataclass(frozen=True, slots=True)
class Spread:
    """Variances of one session's log cost, with their degrees of freedom."""

    own: Floats  # by case
    own_freedom: Floats
    common: float  # shared by all cases of a session
    common_freedom: float

    def standard_error(self, replication: Floats, extra: Floats) -> tuple[Floats, Floats]:
        """Of a difference whose variance is `replication` times a session's, plus `extra`; and its freedom."""
        own, common = self.own * replication, self.common * replication
        square = own + common + extra
        # Satterthwaite; `extra`, which no session shows, is taken to be as uncertain as the rest.
        freedom = (own + common) ** 2 / (own**2 / self.own_freedom + common**2 / self.common_freedom)
        return np.sqrt(square), freedom


def spread_of(sums: Floats, freedom: Floats) -> tuple[Floats, Floats]:
    """Each case's variance from its sum of squares, drawn to what the cases (or, for few, machines) usually show."""
    usual, weight = _usual(sums, freedom)
    return np.maximum((weight * usual + sums) / (weight + freedom), FLOOR**2), weight + freedom


def _usual(sums: Floats, freedom: Floats) -> tuple[Floats | float, float]:
    known = freedom > 0
    if known.sum() < POOL_FROM:
        return _usual_of_few(sums, freedom), USUAL_WEIGHT
    variances = np.maximum(sums[known] / freedom[known], FLOOR**2)
    # The mean, without letting one wild case speak for all.
    high = 10 * float(np.median(variances))
    usual = float(np.minimum(variances, high).mean())
    logs = np.log(variances)
    expected = float(polygamma(1, freedom[known] / 2).mean())
    beyond = max(float(logs.var()) - expected, 0.05)  # trigamma(weight / 2), near 2 / weight for large weights
    return usual, float(np.clip(2 / beyond + 1, USUAL_WEIGHT, POOL_MOST))


def _usual_of_few(sums: Floats, freedom: Floats) -> Floats:
    """For each case, the middle of what machines usually show and of what each other case shows.

    The lower middle: one wild case among two or three must not blind the steady ones.
    """
    known = np.flatnonzero(freedom > 0)
    variances = {i: float(sums[i] / freedom[i]) / middle_of_variances(float(freedom[i])) for i in known.tolist()}
    usual = np.empty(sums.size)
    for i in range(sums.size):
        values = sorted([USUAL**2, *(v for other, v in variances.items() if other != i)])
        usual[i] = values[(len(values) - 1) // 2]
    return usual


def common_variance(effects: Floats, own: float, cases: float) -> tuple[float, float]:
    """The variance that sessions share, by their effects on all cases, less what is the cases' own; and its freedom."""
    freedom = max(effects.size - 1, 1)
    total = float((effects - effects.mean()) @ (effects - effects.mean())) / freedom
    return max(total - 1.5 * own / cases, 0.0), float(freedom)
