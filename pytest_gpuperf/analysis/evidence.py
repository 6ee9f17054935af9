"""What the gate judges: sessions of one case, and the policy they are judged by. Pure data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DEFAULT_TOLERANCE = 0.01
DEFAULT_MARGIN = 0.03
DEFAULT_CONFIDENCE = 0.99
SEEMS_FASTER = 2.0  # margins: who seems to be faster by more, and is not known to be, is not called unchanged either
LEAST = 6  # comparisons that the level allows for, at least: few cases cannot show how far the tail reaches


@dataclass(frozen=True, slots=True)
class Policy:
    """How a cost is judged. Fractions of the cost (time, bytes, joules): 0.01 is 1 %."""

    tolerance: float = DEFAULT_TOLERANCE
    margin: float | None = None  # below it a case is "unchanged"; the larger of 3 % and twice the tolerance
    confidence: float = DEFAULT_CONFIDENCE  # of the whole suite: 1 - the chance of one false failure
    comparisons: int | None = None  # judged together; None: as many as are given

    @property
    def unchanged_below(self) -> float:
        """The margin in force."""
        return max(DEFAULT_MARGIN, 2 * self.tolerance) if self.margin is None else self.margin


@dataclass(frozen=True, slots=True)
class Observed:
    """One case in one session: its costs in order, as a baseline keeps them."""

    id: str  # the session's
    medians: Sequence[float]
    time: float | None = None  # seconds since the epoch: sessions of one hour are not independent
    card: str | None = None
    state: str | None = None  # a throttled session's state ("thermal slow-down")


@dataclass(frozen=True, slots=True)
class CaseEvidence:
    """Everything known of one case. `policy` overrides the suite's tolerance and margin."""

    baseline: Sequence[Observed]
    candidate: Sequence[Observed]
    policy: Policy | None = None
    published: bool = False  # the baseline is a publication's figure: it has no variance


Canaries = Mapping[str, Mapping[str, Sequence[float]]]  # session id -> canary -> seconds, in order
