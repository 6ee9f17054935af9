"""Student's t, and the middle of chi square. From scipy.special: scipy.stats takes more than a second to import."""

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
