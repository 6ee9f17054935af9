"""What the gate judges: sessions of one case, and the policy they are judged by. Pure data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_gpuperf.records.model import MetricKind

DEFAULT_TOLERANCE = 0.01
LEAST_MARGIN = 0.03  # no runner is asked to tell less, unless a margin is given
MARGIN_CAP = 0.10  # a runner that cannot tell this decides nothing
DEFAULT_CONFIDENCE = 0.99
SEEMS_FASTER = 2.0  # margins: a case that looks faster by more, but is not proven to be, is inconclusive
LEAST = 6  # comparisons that the level allows for, at least: few cases cannot show how far the tail reaches


@dataclass(frozen=True, slots=True)
class Policy:
    """How a cost is judged. Fractions of the cost (time, bytes, joules): 0.01 is 1 %."""

    tolerance: float = DEFAULT_TOLERANCE
    margin: float | None = None  # below it a case is "unchanged"; None: what the evidence can tell, up to the cap
    margin_cap: float = MARGIN_CAP
    confidence: float = DEFAULT_CONFIDENCE  # of the whole suite: 1 - the chance of one false failure
    comparisons: int | None = None  # judged together; None: as many as are given

    @property
    def margins(self) -> tuple[float, float]:
        """The margin in force lies between these; both are the one that was given."""
        if self.margin is not None:
            return self.margin, self.margin
        least = max(LEAST_MARGIN, 2 * self.tolerance)
        return least, max(least, self.margin_cap)


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
    kind: MetricKind = "time"  # what these are costs of


Canaries = Mapping[str, Mapping[str, Sequence[float]]]  # session id -> canary -> seconds, in order
