"""A run as the JSON of pytest-benchmark, so that what reads it (its own `compare`, dashboards) can read ours.

The format knows one list of rounds for each benchmark: the samples of all sessions of a case stand there in order.
`analysis.pytest_benchmark` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from statistics import fmean, median, stdev
from typing import Any

import msgspec
import numpy as np

from pytest_gpuperf.analysis.pytest_benchmark import UNVERSIONED, Extra
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.results.records import Case, Environment, Run

VERSION = "5.3.1"  # the one whose format this is
FENCE = 1.5  # interquartile ranges beyond which a round is an outlier (Tukey)


def render_pytest_benchmark(run: Run) -> str:
    """The text of a file that pytest-benchmark could have written."""
    if not run.cases:
        raise UsageError("The run holds no case, so there is nothing to export. See what happened: gpuperf show RUN")
    newest = max(run.sessions, key=lambda s: (s.time, s.id))
    commit, dirty, _ = (newest.revision or UNVERSIONED[0]).partition("+dirty")
    document = {
        "machine_info": _machine(run.environment),
        "commit_info": {"id": commit, "dirty": bool(dirty)},
        "benchmarks": [_benchmark(case) for case in run.cases],
        "datetime": newest.time.replace("Z", "+00:00"),
        "version": VERSION,
    }
    return json.dumps(document, indent=4) + "\n"


def _machine(environment: Environment) -> dict[str, Any]:
    device = environment.device
    cpu = {"brand_raw": device.name, "count": device.cores} if device.kind == "cpu" else {}
    known: dict[str, Any] = {"cpu": {k: v for k, v in cpu.items() if v is not None}}
    if "python" in environment.software:
        known["python_version"] = environment.software["python"]
    known["gpuperf"] = msgspec.to_builtins(environment)
    return known


def _benchmark(case: Case) -> dict[str, Any]:
    newest = case.measurements[-1]
    same = [m for m in case.measurements if (m.items, m.clock) == (newest.items, newest.clock)]
    peaks = [m.peak_memory for m in same if m.peak_memory is not None]
    energies = [m.energy for m in same if m.energy is not None]
    extra = Extra(
        test=case.test,
        items=newest.items,
        clock=newest.clock,
        sessions=len(same),
        peak_memory=round(median(peaks)) if peaks else None,
        memory_source=newest.memory_source,
        energy=median(energies) if energies else None,
    )
    name = case.id.rpartition("::")[2]
    return {
        "group": None,
        "name": name,
        "fullname": case.id,
        "params": dict(case.parameters) or None,
        "param": name.partition("[")[2].rpartition("]")[0] or None,
        "extra_info": {"gpuperf": msgspec.to_builtins(extra)},
        "options": {},
        "stats": statistics_of([s for m in same for s in m.samples], newest.span_calls),
    }


def statistics_of(rounds: Sequence[float], iterations: int) -> dict[str, Any]:
    """What pytest-benchmark says of the times of rounds, by its definitions."""
    count, total, mean = len(rounds), sum(rounds), fmean(rounds)
    spread = stdev(rounds) if count > 1 else 0.0
    q1, q3 = (float(q) for q in np.quantile(rounds, (0.25, 0.75), method="hazen"))
    low, high = q1 - FENCE * (q3 - q1), q3 + FENCE * (q3 - q1)
    far = sum(not mean - spread <= r <= mean + spread for r in rounds)
    outliers = sum(not low <= r <= high for r in rounds)
    return {
        "min": min(rounds),
        "max": max(rounds),
        "mean": mean,
        "stddev": spread,
        "rounds": count,
        "median": median(rounds),
        "iqr": q3 - q1,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": outliers,
        "stddev_outliers": far,
        "outliers": f"{far};{outliers}",
        "ld15iqr": min(r for r in rounds if r >= low),
        "hd15iqr": max(r for r in rounds if r <= high),
        "ops": count / total,
        "total": total,
        "data": list(rounds),
        "iterations": iterations,
    }
