"""How much sessions of the same code differ: what they share, and what is a case's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import polygamma

from pytest_gpuperf.analysis.arrays import Floats
from pytest_gpuperf.analysis.quantiles import middle_of_variances

USUAL = 0.012  # standard deviation between sessions of one case, believed before any was seen ...
USUAL_WEIGHT = 6.0  # ... as much as this many degrees of freedom
FLOOR = 0.002  # no machine is steadier than its own measurement
POOL_FROM = 8  # cases from which on what they share can be told from what is their own
POOL_MOST = 10.0  # degrees of freedom that the other cases may lend to one: no more, since sessions have heavy tails


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
        # Satterthwaite; what was never seen (extra) is as uncertain as the rest.
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
        seen = sorted([USUAL**2, *(v for other, v in variances.items() if other != i)])
        usual[i] = seen[(len(seen) - 1) // 2]
    return usual


def common_variance(effects: Floats, own: float, cases: float) -> tuple[float, float]:
    """Of what sessions share, from each baseline session's effect on all cases; without what is the cases' own."""
    freedom = max(effects.size - 1, 1)
    seen = float((effects - effects.mean()) @ (effects - effects.mean())) / freedom
    return max(seen - 1.5 * own / cases, 0.0), float(freedom)
