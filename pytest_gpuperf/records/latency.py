"""Percentiles of single calls, each only from enough of them."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_gpuperf.records.fields import Record

# Samples needed for 99 % confidence in a percentile (MLPerf LoadGen's table).
PERCENTILE_NEEDS = {50: 11, 90: 64, 95: 130, 99: 662}


class Latency(Record, frozen=True, kw_only=True):
    """Percentiles of single calls, each only from enough of them (else None)."""

    mean: float
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    count: int


def latency_of(latencies: Sequence[float]) -> Latency:
    """Percentiles by nearest rank, each only from enough samples."""
    ordered = sorted(latencies)
    count = len(ordered)

    def percentile(p: int) -> float | None:
        return ordered[-(-p * count // 100) - 1] if count >= PERCENTILE_NEEDS[p] else None

    return Latency(
        mean=sum(ordered) / count,
        p50=percentile(50),
        p90=percentile(90),
        p95=percentile(95),
        p99=percentile(99),
        count=count,
    )
