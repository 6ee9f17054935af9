"""Reading a timer between its steps: a kernel of 14 us on a timer of 0.5 us shows 3.6 % or nothing in each sample."""

from __future__ import annotations

from math import log

import numpy as np
from scipy.special import ndtr, ndtri

from pytest_gpuperf.analysis.arrays import Floats

_REPEATED = 4  # samples to each different value, from which on the step is coarse beside the noise
_LATE = 1 / 16  # of the samples, the slowest ones, are interrupts
_SAME = 1e-5  # relative: files keep 6 digits


def coarse_step(samples: Floats) -> float:
    """The timer's step where most samples are ties; 0 where the noise is wider than the step, or no step was seen."""
    values = np.unique(samples)
    if values.size > samples.size / _REPEATED:
        return 0.0
    gaps = np.diff(values)
    gaps = gaps[gaps > _SAME * values[-1]]
    return float(gaps.min()) if gaps.size else 0.0


def change_between_steps(a: Floats, b: Floats, step: float) -> float:
    """The log ratio of where half of either side's samples would lie below, had the timer no steps.

    How many samples lie below a step's lower and upper edge, as normal quantiles, says how many standard deviations
    away that edge is. A step is as many of them wide as the side says that shows more: the other one saw an edge so
    far off that no sample crossed it.
    """
    sides = [_edges(samples, step) for samples in (a, b)]
    width = max(float(quantiles[1] - quantiles[0]) for _, quantiles in sides)
    before, now = (_inside(middle, step, quantiles, width) for middle, quantiles in sides)
    return log(now) - log(before)


def _edges(samples: Floats, step: float) -> tuple[float, Floats]:
    """The middle value, and the normal quantiles of its step's two edges."""
    ordered = np.sort(samples)[: max(1, round(samples.size * (1 - _LATE)))]
    middle = float(ordered[ordered.size // 2])
    below = np.searchsorted(ordered, [middle - step / 4, middle + step / 4])
    return middle, ndtri((below + 0.5) / (ordered.size + 1))


def _inside(middle: float, step: float, quantiles: Floats, width: float) -> float:
    """Both edges' opinions where the centre is, each as good as a share of samples tells a normal quantile."""
    weights = np.exp(-(quantiles**2)) / (ndtr(quantiles) * ndtr(-quantiles))
    opinions = np.array([-0.5, 0.5]) - quantiles / width
    return middle + step * float(weights @ opinions / weights.sum())
