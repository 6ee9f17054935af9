"""How much is measured, and when it is enough. Why each figure is what it is: docs/measuring.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

CachePolicy = Literal["warm", "flush", "rotate"]
Pace = Callable[[int], bool]  # called before each block but the first, with the blocks so far: True ends it


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The plan of one measurement. Seconds, and fractions."""

    budget: float = 10.0  # cap of the timed phase, on the host's clock
    precision: float = 0.01  # half width of the median's 95 % interval at which it is enough
    cache: CachePolicy = "warm"
    min_samples: int = 96
    min_samples_seconds: float = 2.0  # slow calls: no more than this is spent to reach `min_samples` ...
    fewest_samples: int = 16  # ... but at least the medians a baseline keeps
    min_timed: float = 1.0  # less than this sees one moment of the machine only
    span_seconds: float = 500e-6  # 0.1 % of it is the tick of a CUDA event (0.5 us)
    block_spans: int = 6
    block_seconds: float = 0.1  # slow calls: fewer spans a block, so that other code gets its turn
    latency_calls: int = 8  # single calls a block, where a span has several ...
    latency_share: float = 0.25  # ... but at most this share of the block's time
    slowdown_waits: tuple[float, ...] = (0.05, 0.2, 0.8, 2.0)  # before a block is measured again; then it is kept
    warmup_share: float = 0.2  # of the budget
    warmup_seconds: float = 2.0  # and no more than this
    warmup_window: float = 0.025
    warmup_windows: int = 3  # windows in a row that must bring no gain ...
    warmup_gain: float = 0.01  # ... over the fastest before them
    sustained_seconds: float = 0.3  # in which a card's clock must stand still, under the load that is timed ...
    sustained_spread: float = 0.02  # ... its readings no further apart than this

    @property
    def warmup_cap(self) -> float:
        """Seconds of warm-up after which it is measured as it is."""
        return min(self.warmup_seconds, self.warmup_share * self.budget)

    @property
    def least_timed(self) -> float:
        """Seconds of timed calls without which it is not enough: a small budget is not spent on them alone."""
        return min(self.min_timed, self.budget / 2)

    def enough(self, span: float) -> int:
        """Samples wanted of spans that last so long."""
        affordable = int(self.min_samples_seconds / span)
        return max(self.fewest_samples, min(self.min_samples, affordable))

    def spans_per_block(self, span: float) -> int:
        """Spans that last so long, in one block."""
        return max(1, min(self.block_spans, int(self.block_seconds / span)))

    def latencies_per_block(self, block: float, call: float) -> int:
        """Single calls that last so long, after a block that lasts so long."""
        return max(1, min(self.latency_calls, int(self.latency_share * block / call)))
