"""How well a sequence of samples knows its median: what the sampler asks between blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_gpuperf.gate.arrays import Floats

UNKNOWN = 1.0  # a half width of 100 %: nothing is known. No larger one is ever given
_FEW = 6  # below this many samples no order statistics enclose the median with 95 %: t, and 1.25 for the median
_T95 = (0.0, 12.71, 4.30, 3.18, 2.78)  # Student's t, two-sided 95 %, by degrees of freedom
_Z = 2.1  # t(0.975) of the 16 and more batches that the correlation is estimated from
_BATCHES = 16


def median_half_width(samples: Sequence[float]) -> float:
    """Half width of the median's 95 % interval, relative to the median, at most `UNKNOWN`.

    Order statistics around the median, so that outliers cannot widen it; farther apart where samples that follow
    each other lie on the same side of the median (drift, autocorrelation): they count as fewer.
    """
    values = np.asarray(samples, dtype=np.float64)
    count = values.size
    if count < 2:
        return UNKNOWN
    ordered = np.sort(values)
    middle = float(ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    if count < _FEW:
        half = 1.25 * _T95[count - 1] * float(values.std(ddof=1)) / count**0.5
    else:
        reach = _Z / 2 * (count * _inflation(values, middle)) ** 0.5
        low = max(int((count - 1) / 2 - reach), 0)
        high = count - 1 - low
        half = float(ordered[high] - ordered[low]) / 2
    return min(half / middle, UNKNOWN)


def _inflation(values: Floats, middle: float) -> float:
    """How many samples count as one: by the signs of neighbours (short memory), by sums of batches (long memory)."""
    signs = np.sign(values - middle)
    power = float(signs @ signs)
    if power == 0:
        return 1.0
    correlation = float(signs[1:] @ signs[:-1]) / power
    short = (1 + correlation) / max(1 - correlation, 1 / values.size)
    size = values.size // _BATCHES
    if size < 2:
        return max(short, 1.0)
    sums = signs[: size * _BATCHES].reshape(_BATCHES, size).sum(axis=1)
    return max(float(sums @ sums) / power, short, 1.0)
