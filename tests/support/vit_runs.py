"""Runs of vision transformers as a study's fresh processes would record them, in times that a test says."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from examples import ENVIRONMENT

from pytest_gpuperf.comparison.vit_summary import summarised
from pytest_gpuperf.records.model import Case, Ceiling, Environment, Measurement, Run, Session
from pytest_gpuperf.records.vit import ViT
from pytest_gpuperf.records.vit_space import BATCH, VitCase
from pytest_gpuperf.records.vit_study import Attempt, Source, VitStudy
from pytest_gpuperf.records.vit_study_files import attempts_of, hashes, keep_session, raw_runs

PRODUCT = 1e14
RATE = 5e13  # operations a second, where a test says nothing else
WOBBLE = {1: 1.0, 2: 1.002, 3: 0.999}  # how sessions differ


def case_of(name: str, backend: str = "eager") -> VitCase:
    """``p16-d12-h768-r512``."""
    return VitCase(ViT(*(int(part[1:]) for part in name.split("-"))), backend)


def a_vit_run(
    case: VitCase,
    number: int = 1,
    *,
    rate: float = RATE,
    environment: Environment = ENVIRONMENT,
    **changes: object,
) -> Run:
    """One session of a case; how long a call takes follows from its operations and their rate."""
    seconds = case.flops / rate * WOBBLE.get(number, 1.0)
    fields: dict[str, object] = {
        "session": f"{case.parameters}.{number}",
        "items": BATCH,
        "clock": "cuda-event",
        "blocks": ((seconds,) * 4,) * 4,
        "span_calls": 1,
        "ended": "steady",
        "interval": 0.002,
        "latencies": (seconds * 1.1,) * 16,
        "peak_memory": case.memory,
        "memory_source": "torch allocator",
        "energy": 0.5,
        "flops": case.flops,
        "ceiling": Ceiling(product=PRODUCT, copy=1e12),
    }
    return Run(
        environment=environment,
        sessions=(Session(id=f"{case.parameters}.{number}", time="2026-11-28T12:00:00Z"),),
        cases=(Case(id=case.test, test=case.test, measurements=(Measurement(**(fields | changes)),)),),
    )


def a_study_folder(folder: Path, cases: Iterable[VitCase], sessions: int = 3, **changes: object) -> Path:
    """With so many raw files of each case."""
    for case in cases:
        for number in range(1, sessions + 1):
            keep_session(folder, case, number, a_vit_run(case, number, **changes))
    return folder


def a_vit_study(folder: Path, scale: str = "full", attempts: Iterable[Attempt] = ()) -> VitStudy:
    """What the raw files of a folder say."""
    sources = [Source(file=file, sha256=sha256) for file, sha256 in hashes(folder).items()]
    return summarised(scale, raw_runs(folder), [*attempts_of(folder), *attempts], sources)
