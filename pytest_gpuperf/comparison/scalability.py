"""How throughput grows with concurrency, by the Universal Scalability Law (Gunther)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

FEWEST = 4  # different concurrencies: the law has three numbers
FITS = 0.10  # the most that figures may lie from the curve: windows that agree differ by as much
_FALLS = 1.03  # times the throughput at the largest concurrency: less is no peak, but a curve that has become flat

_Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Scalability:
    """throughput = g N / (1 + a (N - 1) + b N (N - 1)) at N requests in flight."""

    g: float  # requests a second at one in flight
    a: float  # contention: what is done one after the other, which sets a ceiling of g / a
    b: float  # coherence: what each has to wait for every other, which makes the throughput fall again
    residual: float  # how far the figures lie from the curve: root of the mean square, as a share
    largest: float  # concurrency that was measured

    @property
    def fits(self) -> bool:
        """Whether the law describes what was measured."""
        return self.residual <= FITS

    @property
    def peak(self) -> float | None:
        """Requests in flight beyond which the throughput falls; None where it does not as far as was measured."""
        if self.b == 0:
            return None
        peak = max(1.0, ((1 - self.a) / self.b) ** 0.5)
        return peak if peak < self.largest and self.at(peak) > _FALLS * self.at(self.largest) else None

    def at(self, concurrency: float) -> float:
        """Requests a second by the law."""
        return self.g * concurrency / (1 + (concurrency - 1) * (self.a + self.b * concurrency))


def scalability(concurrency: Sequence[float], throughput: Sequence[float]) -> Scalability | None:
    """The law that comes nearest to these figures, in ratios; None where there are too few to tell."""
    if len(set(concurrency)) < FEWEST:
        return None
    at, measured = np.array(concurrency), np.log(np.array(throughput))

    def off(law: _Numbers) -> _Numbers:
        g, a, b = law
        return np.log(g * at / (1 + (at - 1) * (a + b * at))) - measured

    first = float(np.exp(measured[int(np.argmin(at))]))
    bounds = ((1e-12, 0.0, 0.0), (np.inf, 1.0, 1.0))
    found = least_squares(off, (first, 0.1, 1e-3), bounds=bounds, x_scale=(first, 1.0, 1.0))
    g, a, b = map(float, found.x)
    return Scalability(g, a, b, float(np.sqrt(np.mean(off(found.x) ** 2))), float(at.max()))
