"""Runs of vision transformers as a study's fresh processes would record them, in times that a test says."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
from examples import ENVIRONMENT

from pytest_gpuperf.comparison.vit_summary import summarised
from pytest_gpuperf.records.latency import latency_of
from pytest_gpuperf.records.model import Case, Ceiling, Environment, Measurement, Run, Session
from pytest_gpuperf.records.pipeline import PipelineFigures, StageFigures
from pytest_gpuperf.records.vit import ViT
from pytest_gpuperf.records.vit_space import BATCH, DESIGNS, VitCase
from pytest_gpuperf.records.vit_study import Attempt, Source, VitStudy
from pytest_gpuperf.records.vit_study_files import attempts_of, hashes, keep_session, raw_runs

PRODUCT = 1e14
RATE = 5e13  # operations a second, where a test says nothing else
WOBBLE = {1: 1.0, 2: 1.002, 3: 0.999}  # how sessions differ


def case_of(name: str, way: str = "eager") -> VitCase:
    """``p16-d12-h768-r512``."""
    return VitCase(ViT(*(int(part[1:]) for part in name.split("-"))), way)


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


def a_copy(run: Run, case: VitCase, rate: float) -> Run:
    """The run, with its images copied to the device alone at a rate."""
    seconds = BATCH * 3 * case.vit.resolution**2 * 2 / rate
    beside = msgspec.structs.replace(run.cases[0].measurements[0], blocks=((seconds,) * 4,))
    copied = msgspec.structs.replace(run.cases[0], id=f"{case.test}#copy", measurements=(beside,))
    return msgspec.structs.replace(run, cases=(*run.cases, copied))


def a_pipeline(case: VitCase, seconds: float, bottleneck: str = "inference") -> PipelineFigures:
    """As long as its one stage takes, which is busy for nine tenths of that."""
    stage = StageFigures(
        name="inference",
        where="thread",
        workers=1,
        busy=0.9 * seconds,
        alone=0.9 * seconds,
        cpu=0.9 * seconds,
        busy_share=0.9,
        input_share=0.1,
        room_share=0.0,
    )
    return PipelineFigures(
        overlap=DESIGNS[case.way].queue is not None,
        depth=DESIGNS[case.way].queue or 0,
        batch=BATCH,
        source=msgspec.structs.replace(stage, name="source", busy=1e-6),
        stages=(stage,),
        items=100,
        seconds=100 * seconds,
        excluded=0.1,
        passes=2,
        latency=latency_of([seconds] * 100),
        cores=2,
        cpu=seconds,
        ended="steady",
        bottleneck=bottleneck,
        reason="it is busy",
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
