"""A session's one figure: the mean of the lowest three of its 16 block medians, as a logarithm.

A session is slowed by what interrupts it (a throttling step, a burst of other load) and never sped up, so its lowest
blocks say most about the code. Of all low statistics tried this one differed least between sessions of the same code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from math import log

import numpy as np
from scipy.special import ndtr, ndtri

from pytest_gpuperf.gate.arrays import Floats
from pytest_gpuperf.gate.observations import Observed

_REPEATED = 4  # samples to each different value, from which on the step is coarse beside the noise
_LATE = 1 / 16  # of the samples, the slowest ones, are taken for interrupts
_SAME_STEP = 1e-5  # relative: files keep 6 digits
LOWEST = 3 / 16  # of the block medians
SINGLE = -1.0  # the step of a session that is one figure (peak memory, energy): it has none
_SAME = 1e-5  # files keep 6 digits: figures closer than this are the same figure
_WIDEST = 0.06  # a step beyond this is a change, not a timer's: half a microsecond of eight


def coarse_step(samples: Floats) -> float:
    """The timer's step where most samples are ties; 0 where the noise is wider than the step, or no step shows."""
    values = np.unique(samples)
    if values.size > samples.size / _REPEATED:
        return 0.0
    gaps = np.diff(values)
    gaps = gaps[gaps > _SAME_STEP * values[-1]]
    return float(gaps.min()) if gaps.size else 0.0


def change_between_steps(a: Floats, b: Floats, step: float) -> float:
    """The log ratio of both sides' medians, as they would be if the timer had no steps.

    How many samples lie below a step's lower and upper edge, as normal quantiles, says how many standard deviations
    away that edge is. A step is as many of them wide as the side with more of them says: on the other side an edge was
    so far off that no sample crossed it.
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
    """Where the centre is by both edges, each weighted by how well a share of samples gives a normal quantile."""
    weights = np.exp(-(quantiles**2)) / (ndtr(quantiles) * ndtr(-quantiles))
    opinions = np.array([-0.5, 0.5]) - quantiles / width
    return middle + step * float(weights @ opinions / weights.sum())


def locations(sessions: Sequence[Observed]) -> tuple[Floats, Floats]:
    """The log cost of each session, and the smallest step between its block medians (0: none; or `SINGLE`)."""
    found = np.empty(len(sessions))
    steps = np.zeros(len(sessions))
    by_length: dict[int, list[int]] = defaultdict(list)
    for i, session in enumerate(sessions):
        by_length[len(session.medians)].append(i)
    for length, at in by_length.items():
        flat = chain.from_iterable(sessions[i].medians for i in at)
        ordered = np.fromiter(flat, np.float64, len(at) * length).reshape(len(at), length)
        ordered.sort(axis=1)
        kept = max(1, round(length * LOWEST))
        scale = ordered[:, :1]
        found[at] = np.log(ordered[:, :kept] / scale).mean(axis=1) + np.log(scale[:, 0])
        if length == 1:
            steps[at] = SINGLE
        else:
            gaps = np.diff(np.log(ordered), axis=1)
            smallest = np.where(gaps > _SAME, gaps, np.inf).min(axis=1)
            steps[at] = np.where(np.isfinite(smallest), smallest, 0.0)
    return found, steps


def spread_between(sessions: Sequence[Observed]) -> float:
    """The standard deviation between sessions of one case; 0 where there are too few to tell."""
    return float(locations(sessions)[0].std(ddof=1)) if len(sessions) > 2 else 0.0


def tick(locations_of_case: Floats, steps: Floats) -> Floats:
    """The timer's step in each case (a row): the smallest step within, else between, its sessions."""
    within: Floats = np.where(steps > 0, steps, np.inf).min(axis=1)
    gaps: Floats = np.diff(np.sort(locations_of_case, axis=1), axis=1)
    between: Floats = np.where(gaps > _SAME, gaps, np.inf).min(axis=1, initial=np.inf)
    smallest = np.where(np.isfinite(within), within, between)  # a mean of three may lie between two steps
    return np.where((smallest <= _WIDEST) & (steps.max(axis=1) >= 0), smallest, 0.0)
