"""From raw runs to the summary of a study of vision transformers. Pure: the same runs give the same summary."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from pytest_gpuperf.comparison.vit_findings import findings
from pytest_gpuperf.comparison.vit_order import every_case
from pytest_gpuperf.errors import FileError
from pytest_gpuperf.records.model import Case, Environment, Measurement
from pytest_gpuperf.records.same_device import device_differences, software_changes
from pytest_gpuperf.records.units import by_number
from pytest_gpuperf.records.vit_space import BATCH, COPY, NUMBER_SIZE, PRECISION, SPACES, VitCase
from pytest_gpuperf.records.vit_study import Attempt, CaseFigures, Scale, SessionFigures, Source, VitStudy
from pytest_gpuperf.records.vit_study_files import RawRun

PLACE = "numa"  # stands among the versions, and differs within a study that moves its processes on purpose


def cases_of(scale: str) -> dict[str, VitCase]:
    """By the name that their raw files have."""
    return {case.parameters: case for case in every_case(SPACES[scale])}


def scale_of(raw: Sequence[RawRun], attempts: Sequence[Attempt]) -> Scale | None:
    """Which space they are of; None where nothing stands there."""
    known: list[tuple[str, str]] = [(one.parameters, one.file) for one in raw]
    known += [(a.test.rpartition("[")[2].removesuffix("]"), a.test) for a in attempts]
    scales: list[Scale] = ["full", "smoke"]
    for scale in scales:
        if known and all(parameters in cases_of(scale) for parameters, _ in known):
            return scale
    if known:
        every = {**cases_of("full"), **cases_of("smoke")}
        strange = next((what for parameters, what in known if parameters not in every), None)
        raise FileError(
            "The study's folder holds both the full and the smoke scale. Give each its own: --into DIR"
            if strange is None
            else f"{strange}: is no case of a study of vision transformers. Move it away, or give another folder: "
            f"--into DIR"
        )
    return None


def common_environment(raw: Sequence[RawRun]) -> Environment:
    """Where all of them come from: a study holds one device, and one set of versions."""
    first = raw[0]
    for one in raw[1:]:
        refuse_another(first.run.environment, one.run.environment, first.file, one.file)
    return first.run.environment


def refuse_another(there: Environment, here: Environment, what: str, other: str) -> None:
    """Raise where figures of two environments would be held against each other."""
    versions, others = ({name: v for name, v in e.software.items() if name != PLACE} for e in (there, here))
    differ = device_differences(there.device, here.device) or software_changes(versions, others)
    if differ:
        raise FileError(
            f"{what} is of another device or other software than {other}: {'; '.join(differ)}. Ratios between them "
            f"would not be of the models. Give each its own folder: --into DIR"
        )


def summarised(scale: Scale, raw: Sequence[RawRun], attempts: Sequence[Attempt], sources: Sequence[Source]) -> VitStudy:
    """What the raw runs say."""
    cases = cases_of(scale)
    by_case: dict[str, list[SessionFigures]] = {}
    for one in sorted(raw, key=lambda r: (by_number(r.parameters), r.number)):
        by_case.setdefault(one.parameters, []).append(_session(one, cases[one.parameters]))
    figures = tuple(_figures(case, by_case[name]) for name, case in cases.items() if name in by_case)
    products = [s.product for f in figures for s in f.sessions if s.product is not None]
    product = max(products, default=None)
    return VitStudy(
        scale=scale,
        environment=common_environment(raw),
        batch=BATCH,
        precision=PRECISION,
        product=product,
        sources=tuple(sources),
        cases=figures,
        findings=tuple(findings(figures, SPACES[scale], product)),
        failed=failures(attempts),
    )


def failures(attempts: Sequence[Attempt]) -> dict[str, str]:
    """Test -> why, where the last attempt gave nothing."""
    last = {a.test: a.failed for a in attempts}
    return {test: why for test, why in last.items() if why is not None}


def _case_of(one: RawRun, case_id: str) -> Case | None:
    return next((case for case in one.run.cases if case.id == case_id), None)


def _session(one: RawRun, vit_case: VitCase) -> SessionFigures:
    case = _case_of(one, vit_case.test)
    if case is None:
        raise FileError(f"{one.file}: this run holds no {vit_case.test}. Move it away: it is measured again.")
    measured: Measurement = case.measurements[-1]
    pipeline = measured.pipeline
    limit = None if pipeline is None else f"bottleneck {pipeline.bottleneck}: {pipeline.reason}"  # is a figure here
    return SessionFigures(
        number=one.number,
        file=one.file,
        seconds=median(measured.samples),
        clock=measured.clock,
        throughput=measured.throughput,
        latency=None if measured.latency is None else measured.latency.p50,
        product=None if measured.ceiling is None else measured.ceiling.product,
        peak_memory=measured.peak_memory,
        memory_source=measured.memory_source,
        energy=measured.energy,
        copied=_copied(one, vit_case),
        bound_share=None if pipeline is None else pipeline.efficiency,
        bottleneck=None if pipeline is None else pipeline.bottleneck,
        compile_cost=measured.compile_cost,
        notes=tuple(note for note in measured.notes if note != limit),
    )


def _copied(one: RawRun, vit_case: VitCase) -> float | None:
    """Bytes a second of the images on their way to the device, where that was measured beside."""
    copy = _case_of(one, f"{vit_case.test}#{COPY}")
    size = NUMBER_SIZE * BATCH * 3 * vit_case.vit.resolution**2
    return None if copy is None else size / median(copy.measurements[-1].samples)


def _figures(case: VitCase, sessions: Sequence[SessionFigures]) -> CaseFigures:
    vit = case.vit
    return CaseFigures(
        test=case.test,
        patch=vit.patch,
        depth=vit.depth,
        hidden=vit.hidden,
        resolution=vit.resolution,
        way=case.way,
        tokens=vit.tokens,
        parameters=vit.parameters,
        flops=case.flops,
        memory_estimate=case.memory,
        sessions=tuple(sessions),
    )
