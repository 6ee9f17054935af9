"""Student's t from scipy.special: scipy.stats would cost more than a second to import."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]


def student(confidence: float, freedom: Floats | float) -> Floats:
    """The one-sided quantile."""
    return np.asarray(stdtrit(np.asarray(freedom, dtype=np.float64), confidence), dtype=np.float64)
