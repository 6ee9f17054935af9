"""The options of `compare` that are a policy: tolerances and shares."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.results.records import Rule
from pytest_gpuperf.results.units import METRICS, parse_fraction


def rule(texts: Sequence[str]) -> Rule:
    """``["throughput=3%", "energy=5%"]`` as a rule; what is judged by one evidence may be named once."""
    named: dict[str, str] = {}
    tolerance: dict[str, float] = {}
    for text in texts:
        metric, equals, fraction = text.partition("=")
        metric = metric.strip()
        if not equals:
            raise UsageError(f"--tolerance: {text!r} names no metric. Write it like throughput=3%.")
        if metric not in METRICS:
            raise UsageError(f"--tolerance: unknown metric {metric!r}. The metrics are: {', '.join(METRICS)}.")
        other = named.setdefault(METRICS[metric].evidence, metric)
        if other != metric:
            raise UsageError(f"--tolerance: {other} and {metric} are judged as one. Give a tolerance for one of them.")
        tolerance[metric] = parse_fraction(fraction, f"--tolerance {metric}")
    return Rule(tolerance=tolerance)


def share(text: str) -> float:
    """``80%`` -> 0.8, and 100% is a share too."""
    return 1.0 if text.strip() == "100%" else parse_fraction(text, "--min-decided")
