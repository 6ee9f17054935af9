"""Tolerances, shares and times as people write them, on either command line, in an ini file or in a marker."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.results.units import METRICS, parse_fraction


def known_metric(metric: str, what: str) -> str:
    """A metric's name, or an error that lists them."""
    if metric not in METRICS:
        raise UsageError(f"{what}: unknown metric {metric!r}. The metrics are: {', '.join(METRICS)}.")
    return metric


def parse_tolerance(text: str, what: str) -> tuple[str, float]:
    """``throughput=3%`` -> ("throughput", 0.03); ``3%`` is of throughput too."""
    metric, equals, fraction = text.rpartition("=")
    if not equals:
        metric = "throughput"
    return known_metric(metric.strip(), what), parse_fraction(fraction, f"{what} {metric.strip()}")


def one_each(tolerances: Iterable[tuple[str, float]], what: str) -> dict[str, float]:
    """Throughput, device time and latency are one evidence: naming two of them is naming one thing twice."""
    by_evidence: dict[str, tuple[str, float]] = {}
    for metric, fraction in tolerances:
        evidence = METRICS[metric].evidence
        other = by_evidence.setdefault(evidence, (metric, fraction))
        if other != (metric, fraction):
            raise UsageError(
                f"{what}: {other[0]} and {metric} are judged as one ({evidence}). Give one tolerance for them."
            )
    return dict(by_evidence.values())


def parse_margin(text: str, what: str) -> dict[str, float]:
    """``5%`` -> that margin; ``auto:15%`` -> what a case's sessions can tell, up to that. As fields of a rule."""
    auto, colon, cap = text.strip().partition(":")
    if auto != "auto":
        return {"margin": parse_fraction(text, what)}
    return {"margin_cap": parse_fraction(cap, what)} if colon else {}


def parse_share(text: str, what: str) -> float:
    """``80%`` -> 0.8, and all of it is a share too."""
    return 1.0 if text.strip() == "100%" else parse_fraction(text, what)


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_seconds(text: str, what: str) -> float:
    """``10``, ``10s``, ``5m`` or ``1h`` -> seconds."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    try:
        seconds = float(number) * _UNITS[unit]
    except ValueError:
        raise UsageError(f"{what}: {text!r} is not a time. Write it like 10, 10s, 5m or 1h.") from None
    if not 0 < seconds <= 86400:
        raise UsageError(f"{what}: {text!r} is out of range. Write a time above 0 and at most 24h, a day.")
    return seconds
