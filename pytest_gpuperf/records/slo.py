"""Limits on what an answer may take, as they are written on a command line."""

from __future__ import annotations

import math
import re

from pytest_gpuperf.errors import UsageError

NAMED = {  # MLPerf inference's limits on the 99th percentile, server scenario; here of every answer
    "mlperf-llama3.1-8b": {"ttft": 2.0, "tpot": 0.100},
    "mlperf-llama3.1-8b-interactive": {"ttft": 0.5, "tpot": 0.030},
    "mlperf-llama2-70b": {"ttft": 2.0, "tpot": 0.200},
    "mlperf-llama2-70b-interactive": {"ttft": 0.45, "tpot": 0.040},
}
LIMITED: tuple[str, ...] = ("ttft", "tpot", "e2e")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_TIME = re.compile(r"([0-9.eE+-]+)\s*(us|ms|s)")


def parse_slo(text: str) -> dict[str, float]:
    """``ttft=500ms,tpot=30ms`` -> seconds by figure; or the name of a published one."""
    if text in NAMED:
        return dict(NAMED[text])
    limits: dict[str, float] = {}
    for part in text.split(","):
        name, _, time = (word.strip() for word in part.partition("="))
        if name not in LIMITED:
            raise UsageError(
                f"--slo: there is no limit on {name!r}. Write limits like ttft=500ms,tpot=30ms (of: "
                f"{', '.join(LIMITED)}), or a name: {', '.join(NAMED)}."
            )
        if name in limits:
            raise UsageError(f"--slo: {name} has two limits. Give one.")
        limits[name] = _seconds(name, time)
    return limits


def _seconds(name: str, text: str) -> float:
    found = _TIME.fullmatch(text)
    try:
        seconds = float(found[1]) * _UNITS[found[2]] if found else math.nan
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise UsageError(f"--slo: {name}={text!r} is not a time above 0. Write it with its unit: {name}=500ms.")
    return seconds
