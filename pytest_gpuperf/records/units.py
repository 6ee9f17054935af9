"""Metrics and their units: how figures, tolerances, shares and times are written and read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_gpuperf.errors import UsageError

KiB, MiB, GiB = 1024, 1024**2, 1024**3


_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
_NUMBERS = re.compile(r"(\d+)")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Kind:
    """A cost that is judged, and its words. All but time are named as the field of `Measurement` that holds them."""

    cost: str
    metric: str  # that is shown where no rule names one
    more: str  # "5% slower", "5% more memory"
    less: str
    times: str  # "2 times as slow as", "2 times the memory of"
    than: str


KINDS = {
    "time": Kind("time per call", "throughput", "slower", "faster", "as slow", "as"),
    "peak_memory": Kind("peak memory", "peak_memory", "more memory", "less memory", "the memory", "of"),
    "energy": Kind("energy per item", "energy", "more energy", "less energy", "the energy", "of"),
}


@dataclass(frozen=True)
class Metric:
    """One figure of a measurement: what it is called, its unit, and which way is better."""

    name: str
    unit: str
    higher_is_better: bool
    kind: str  # the cost that it is judged by: time is judged once for several figures


METRICS = {
    m.name: m
    for m in (
        Metric("throughput", "items/s", True, "time"),
        Metric("device_time", "s", False, "time"),
        Metric("latency", "s", False, "time"),
        Metric("peak_memory", "B", False, "peak_memory"),
        Metric("energy", "J/item", False, "energy"),
    )
}


def parse_fraction(text: str, what: str) -> float:
    """``3%`` -> 0.03; a bare number is refused, since 3 could mean 3 % or 300 %."""
    number = text.strip()
    try:
        value = float(number.removesuffix("%"))
    except ValueError:
        raise UsageError(f"{what}: {text!r} is not a percentage. Write it like 3%.") from None
    if not number.endswith("%"):
        raise UsageError(f"{what}: {text!r} has no unit. Write {number}%, with the percent sign.")
    if not (math.isfinite(value) and 0 <= value < 100):
        raise UsageError(f"{what}: {text!r} is out of range. Write a percentage from 0% to below 100%.")
    return value / 100


def log_tolerance(metric: str, fraction: float) -> float:
    """The tolerance of a metric as a log ratio of time (or bytes, or joules): positive is worse.

    3 % less throughput is 3.09 % more time.
    """
    return -math.log1p(-fraction) if METRICS[metric].higher_is_better else math.log1p(fraction)


def format_duration(seconds: float) -> str:
    """``75.2`` -> ``1m 15s``: how long somebody will wait."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes}m" if hours else f"{minutes}m {rest}s" if minutes else f"{rest}s"


def format_seconds(value: float, digits: int = 3) -> str:
    """``0.01234`` -> ``12.3 ms``."""
    scale, unit = next((s for s in _SECONDS if value >= s[0] * 0.9995), _SECONDS[-1])
    return f"{significant(value / scale, digits)} {unit}"


def format_bytes(value: float, digits: int = 3) -> str:
    """``1536`` -> ``1.5 KiB``."""
    for scale, unit in ((GiB, "GiB"), (MiB, "MiB"), (KiB, "KiB")):
        if value >= scale:
            return f"{significant(value / scale, digits)} {unit}"
    return f"{value:.0f} B"


def format_rate(value: float, digits: int = 3) -> str:
    """``1234567.0`` -> ``1.23 M/s``."""
    for scale, unit, least in ((1e9, " G/s", 1e9), (1e6, " M/s", 1e6), (1e3, " k/s", 1e4)):
        if value >= least * 0.9995:
            return f"{significant(value / scale, digits)}{unit}"
    return f"{significant(value, digits)} /s"


def format_percent(fraction: float) -> str:
    """``0.048`` -> ``4.8%``, ``0.03`` -> ``3%``."""
    return f"{fraction * 100:.1f}".removesuffix(".0") + "%"


def format_change(ratio: float) -> str:
    """A ratio as a signed percentage: ``1.0312`` -> ``+3.1%``; from twice on as a factor."""
    if ratio >= 2:
        return f"x{significant(ratio)}"
    return f"{(ratio - 1) * 100:+.1f}%"


def significant(value: float, digits: int = 3) -> str:
    """A number with that many significant digits, without an exponent where one can do without."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    shown = float(f"{value:.{digits}g}")  # rounded first: 0.9996 is 1.00, not 1.000
    decimals = digits - 1 - math.floor(math.log10(abs(shown)))
    return f"{shown:.{decimals}f}" if 0 <= decimals <= 9 else f"{value:.0f}" if decimals < 0 else f"{shown:g}"


def by_number(name: str) -> tuple[tuple[str, int], ...]:
    """A key to sort names by: ``test[4]`` stands before ``test[16]``."""
    parts = _NUMBERS.split(name)
    return tuple((text, int(number)) for text, number in zip(parts[::2], [*parts[1::2], "-1"], strict=True))


def many(count: int, what: str) -> str:
    """``1 copy``, ``2 copies``, ``2 days``, ``2 launches``."""
    if count == 1:
        return f"1 {what}"
    if what.endswith("y") and what[-2] not in "aeiou":
        return f"{count} {what[:-1]}ies"
    return f"{count} {what}{'es' if what.endswith('ch') else 's'}"


def in_words(ratio: float) -> str:
    """A ratio of times in words: ``1.054`` -> ``5.4% slower``, ``0.979`` -> ``2.1% faster``."""
    return cost_in_words("time", ratio)


def cost_in_words(
    kind: str, ratio: float, interval: tuple[float, float] | None = None, beside: str | None = None
) -> str:
    """A ratio of costs in words: ``12.0% more memory``; with its interval: ``5.1% [4.2%, 6.0%] slower``.

    `beside`: what it is compared with: ``5.4% slower than the baseline``, ``2.30 times as slow as the baseline``.
    """
    words = KINDS[kind]
    other = "" if beside is None else f" {words.than if ratio >= 2 else 'than'} {beside}"
    if ratio >= 2:
        low, high = map(significant, interval or (ratio, ratio))
        return f"{significant(ratio)} times {f'[{low}, {high}] ' if interval else ''}{words.times}{other}"
    ends = interval if ratio >= 1 or interval is None else interval[::-1]
    way = 100 if ratio >= 1 else -100
    shown = "" if ends is None else "[{:.1f}%, {:.1f}%] ".format(*((end - 1) * way + 0.0 for end in ends))
    return f"{abs(ratio - 1) * 100:.1f}% {shown}{words.more if ratio >= 1 else words.less}{other}"


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
    """Throughput, device time and latency are judged as one: naming two of them is naming one thing twice."""
    by_kind: dict[str, tuple[str, float]] = {}
    for metric, fraction in tolerances:
        kind = METRICS[metric].kind
        other = by_kind.setdefault(kind, (metric, fraction))
        if other != (metric, fraction):
            raise UsageError(
                f"{what}: {other[0]} and {metric} are judged as one ({kind}). Give one tolerance for them."
            )
    return dict(by_kind.values())


def parse_margin(text: str, what: str) -> dict[str, float]:
    """``5%`` -> that margin; ``auto:15%`` -> what a case's sessions can tell, up to that. As fields of a rule."""
    auto, colon, cap = text.strip().partition(":")
    if auto != "auto":
        return {"margin": parse_fraction(text, what)}
    return {"margin_cap": parse_fraction(cap, what)} if colon else {}


def parse_share(text: str, what: str) -> float:
    """``80%`` -> 0.8, and all of it is a share too."""
    return 1.0 if text.strip() == "100%" else parse_fraction(text, what)


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
