"""Memory of the processor whose place never decides how fast it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PAGE = 4096


def at_a_page(size: int) -> NDArray[np.uint8]:
    """Bytes that begin where a page does, and have been written: what never was is read from nowhere.

    NumPy's own begin anywhere; a matrix product takes 12 % longer where they do not begin at a cache line.
    """
    held = np.ones(size + _PAGE, dtype=np.uint8)
    return held[-held.ctypes.data % _PAGE :][:size]
