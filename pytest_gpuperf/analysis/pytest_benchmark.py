"""A run out of the JSON that pytest-benchmark writes. `reports.pytest_benchmark` writes that JSON out of a run.

Rounds become samples. What such a file does not say (memory, warm-up, evidence of a GPU) is left out, unless it was
written by us.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from pytest_gpuperf.analysis.summaries import median_half_width
from pytest_gpuperf.errors import FileError
from pytest_gpuperf.results.records import (
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
    seen: set[str] = set()
    for i, case in enumerate(cases):
        if case.id in seen:
            raise ValueError(f"benchmarks[{i}].fullname: {case.id} stands twice")
        seen.add(case.id)
    if not cases:
        raise ValueError("benchmarks is empty: nothing was measured")
