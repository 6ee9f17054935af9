"""Runs from and to the JSON of pytest-benchmark, so that what reads it (its own `compare`, dashboards) reads ours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from statistics import fmean, median, stdev
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct

from pytest_gpuperf.errors import FileError, UsageError
from pytest_gpuperf.gate.median_interval import median_half_width
from pytest_gpuperf.records.model import (
    Bytes,
    Case,
    Count,
    Device,
    Environment,
    Joules,
    Measurement,
    Name,
    Record,
    Run,
    Seconds,
    Session,
)

UNVERSIONED = ("unversioned", "unknown")  # what stands for a commit where there is none
VERSION = "5.3.1"  # the one whose format this is
FENCE = 1.5  # interquartile ranges beyond which a round is an outlier (Tukey)


class Extra(Record, frozen=True, kw_only=True):
    """What we know of a benchmark and the format has no place for: ``extra_info["gpuperf"]``."""

    test: Name | None = None
    items: Count = 1
    clock: Name = "host"
    sessions: Count = 1  # how many the rounds come from
    peak_memory: Bytes | None = None
    memory_source: str | None = None
    energy: Joules | None = None


class _ExtraInfo(Struct, frozen=True):
    gpuperf: Extra = Extra()


class _Stats(Struct, frozen=True):
    data: Annotated[tuple[Seconds, ...], Meta(min_length=1)] | None = None
    iterations: Count = 1


class _Benchmark(Struct, frozen=True):
    fullname: Name
    stats: _Stats
    params: dict[Name, Any] | None = None
    extra_info: _ExtraInfo = _ExtraInfo()


class _Cpu(Struct, frozen=True):
    brand_raw: Name | None = None
    count: Annotated[int, Meta(ge=1)] | None = None


class _Machine(Struct, frozen=True):
    machine: str | None = None
    python_version: str | None = None
    cpu: _Cpu = _Cpu()
    gpuperf: Environment | None = None  # written by us


class _Commit(Struct, frozen=True):
    id: str | None = None
    dirty: bool = False


class _File(Struct, frozen=True):
    machine_info: _Machine
    commit_info: _Commit
    datetime: str
    version: str
    benchmarks: tuple[_Benchmark, ...]


def imported(raw: bytes, path: str) -> Run:
    """The run in these bytes; `path` is named where they are no file of pytest-benchmark's."""
    try:
        # The standard reader, since pytest-benchmark writes with it: NaN in a field we do not read is no flaw.
        file = msgspec.convert(json.loads(raw), _File)
        session = _session(file, raw)
        cases = tuple(_case(b, i, session, file.version) for i, b in enumerate(file.benchmarks))
        _refuse_duplicates(cases)
    except (ValueError, RecursionError, OverflowError) as error:  # msgspec's and JSON's errors are ValueErrors
        raise FileError(
            f"{path}: no run can be made of it: {_placed(str(error)).rstrip('.')}. "
            f"Record it with: pytest --benchmark-json {path}"
        ) from None
    return Run(environment=_environment(file), sessions=(session,), cases=cases)


def _placed(text: str) -> str:
    """The place before what is wrong there."""
    what, _, place = text.partition(" - at `$")
    return f"{place.rstrip('`').removeprefix('.')}: {what}" if place else what


def _session(file: _File, raw: bytes) -> Session:
    when = datetime.fromisoformat(file.datetime)
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    commit = file.commit_info
    known = commit.id is not None and commit.id not in UNVERSIONED
    return Session(
        id=sha256(raw).hexdigest()[:12],  # the same file imported again is the same session
        time=when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        revision=f"{commit.id}{'+dirty' if commit.dirty else ''}" if known else None,
    )


def _environment(file: _File) -> Environment:
    machine = file.machine_info
    if machine.gpuperf is not None:
        return machine.gpuperf
    software = {"pytest-benchmark": file.version}
    if machine.python_version is not None:
        software["python"] = machine.python_version
    name = machine.cpu.brand_raw or machine.machine or "unknown processor"
    return Environment(device=Device(kind="cpu", name=name, cores=machine.cpu.count), software=software)


def _case(benchmark: _Benchmark, index: int, session: Session, version: str) -> Case:
    rounds, extra = benchmark.stats.data, benchmark.extra_info.gpuperf
    if rounds is None:
        raise ValueError(
            f"benchmarks[{index}].stats.data is missing, so the times of its rounds are not known "
            f"(--benchmark-autosave needs --benchmark-save-data beside it)"
        )
    return Case(
        id=benchmark.fullname,
        test=extra.test or benchmark.fullname,
        parameters={name: _text(value) for name, value in (benchmark.params or {}).items()},
        measurements=(
            Measurement(
                session=session.id,
                items=extra.items,
                clock=extra.clock,
                blocks=(rounds,),
                span_calls=benchmark.stats.iterations,
                ended="cap",  # pytest-benchmark ends after a count and a time, not when the median is known
                interval=median_half_width(rounds),
                peak_memory=extra.peak_memory,
                memory_source=extra.memory_source,
                energy=extra.energy,
                notes=(f"imported from pytest-benchmark {version}",),
            ),
        ),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, (list, dict)) else str(value)


def _refuse_duplicates(cases: tuple[Case, ...]) -> None:
    ids: set[str] = set()
    for i, case in enumerate(cases):
        if case.id in ids:
            raise ValueError(f"benchmarks[{i}].fullname: {case.id} stands twice")
        ids.add(case.id)
    if not cases:
        raise ValueError("benchmarks is empty: nothing was measured")


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
