"""Student's t, the margin that it allows, and the middle of chi square.

From scipy.special: scipy.stats takes more than a second to import.
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

from pytest_gpuperf.analysis.arrays import Floats


def student(confidence: float, freedom: Floats | float) -> Floats:
    """The one-sided quantile."""
    return np.asarray(stdtrit(np.asarray(freedom, dtype=np.float64), confidence), dtype=np.float64)


def middle_of_variances(freedom: float) -> float:
    """The median of an estimated variance, over that variance; after Wilson and Hilferty."""
    return (1 - 2 / (9 * freedom)) ** 3


BOUND = 0.95  # the confidence of one end of the interval that is shown, and of "unchanged"
_ACQUITTED = 0.84  # standard errors: unchanged code is acquitted by the margin in four of five cases


def margin_told(error: Floats, freedom: Floats | float, least: Floats | float, most: Floats | float) -> Floats:
    """The smallest log margin that would acquit unchanged code by evidence of that error, within the given limits.

    It depends on how much the evidence wanders and never on what it says, so that it cannot favour a verdict.
    """
    return np.clip((student(BOUND, freedom) + _ACQUITTED) * error, least, most)
