"""Student's t from scipy.special: scipy.stats would cost more than a second to import."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]


def student(confidence: float, freedom: ArrayLike) -> Floats:
    """The one-sided quantile."""
    return np.asarray(stdtrit(freedom, confidence), dtype=np.float64)
