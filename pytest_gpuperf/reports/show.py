"""What a run or a baseline file holds, for `gpuperf show`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from pytest_gpuperf.comparison.resolution import Resolution, resolutions, worst_first
from pytest_gpuperf.gate.observations import LEAST_MARGIN
from pytest_gpuperf.records.model import Accepted, Baseline, Case, Environment, Run, Session
from pytest_gpuperf.records.units import by_number, format_bytes, format_rate, format_seconds, many
from pytest_gpuperf.reports.compile_facts import compile_lines
from pytest_gpuperf.reports.figures import NONE, arithmetic, latency, throughput
from pytest_gpuperf.reports.pipeline_report import render_pipelines
from pytest_gpuperf.reports.tables import by_file, prose, table

RUN_HEADER = ("case", "throughput", "latency p50", "time a call", "peak memory")
BASELINE_HEADER = ("case", "sessions", "throughput", "time a call", "spread", "tells")
LEGEND = (
    "spread: the slowest session over the fastest. tells: the smallest slow-down that one more session can tell from "
    "none; more sessions may make it smaller: gpuperf calibrate --help"
)
WORST = 10  # cases whose figures are explained: the next ones have the same causes


def run_contents(path: str, run: Run, width: int) -> str:
    """Everything one pytest invocation recorded."""
    ordered = sorted(run.cases, key=lambda c: by_number(c.id))
    rates = [next(filter(None, map(arithmetic, reversed(c.measurements))), None) for c in ordered]
    counted = any(rates)  # operations are counted for workloads of the suite's models only
    cells = by_file(
        (c.id, (*_run_row(c), *((r or NONE,) if counted else ()))) for c, r in zip(ordered, rates, strict=True)
    )
    header = (*RUN_HEADER, *(("arithmetic",) if counted else ()))
    clocks = {m.clock for c in run.cases for m in c.measurements}
    lines = [
        f"{path}: a run, {many(len(run.cases), 'case')}, {many(len(run.sessions), 'session')}",
        *_where(run.environment, run.sessions, clocks),
        *(f"not measured: {test} ({why})" for test, why in run.scope.unmeasured.items()),
        *(f"unvalidated: {c.id}" for c in run.cases if any(m.unvalidated for m in c.measurements)),
        *compile_lines(ordered),
    ]
    page = _page(lines, table(header, "l" + "r" * (len(header) - 1), cells, width) if cells else [], (), width)
    return "\n\n".join(filter(None, (page, render_pipelines(run, width))))


def baseline_contents(path: str, baseline: Baseline, width: int) -> str:
    """The accepted sessions of each case, with their noise."""
    by_case = resolutions(baseline)
    ordered = sorted(baseline.cases, key=lambda c: by_number(c.id))
    cells = by_file((c.id, _baseline_row(c, by_case[c.id])) for c in ordered)
    measured = baseline.sessions if baseline.provenance == "measured" else ()  # a publication need not say when
    source = f", {baseline.source}" if baseline.source else ""
    sizes = f"{many(len(baseline.cases), 'case')}, {many(len(baseline.sessions), 'session')}"
    lines = [
        f"{path}: a baseline, {baseline.provenance}{source}, {sizes}",
        *_where(baseline.environment, measured, {c.clock for c in ordered}),
        *(f"waived until {c.waiver.until}: {c.id} ({c.waiver.reason})" for c in ordered if c.waiver),
    ]
    shown = table(BASELINE_HEADER, "lrrrrr", cells, width) if cells else []
    unsteady = list(unsteady_cases(by_case))
    return _page(lines, shown, (LEGEND, *([""] if unsteady else []), *unsteady), width)


def unsteady_cases(by_case: Mapping[str, Resolution], beyond: float = LEAST_MARGIN) -> Iterable[str]:
    """The cases that cannot tell a slow-down of `beyond`, worst first, and what their sessions show."""
    worst = worst_first(by_case, beyond)
    if worst:
        yield f"{many(len(worst), 'case')} cannot tell {beyond * 100:.3g}%, worst first:"
    for name, margin, why in worst[:WORST]:
        yield f"{name} tells {margin:.1%}: {why.kind}: {why.text}"
    if len(worst) > WORST:
        yield f"and {len(worst) - WORST} more"


def _page(lines: Iterable[str], shown: Sequence[str], legend: Iterable[str], width: int) -> str:
    wrapped = [[w for line in part for w in prose(line, width, hanging="  ")] for part in (lines, legend)]
    blocks = (wrapped[0], shown, wrapped[1] if shown else ())
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _where(environment: Environment, sessions: Sequence[Session], clocks: Iterable[str]) -> Iterable[str]:
    device = environment.device
    memory = NONE if device.memory is None else format_bytes(device.memory)
    yield f"device: {device.name}, {memory}; timed by: {', '.join(sorted(clocks)) or NONE}"
    if environment.software:
        yield "software: " + ", ".join(f"{name} {version}" for name, version in sorted(environment.software.items()))
    if sessions:
        times = sorted(s.time for s in sessions)
        cards = {s.card for s in sessions if s.card}
        yield f"measured: {times[0]} to {times[-1]}" + (f", on {many(len(cards), 'card')}" if cards else "")
        revisions = dict.fromkeys(s.revision for s in sessions if s.revision)
        if revisions:
            yield f"revisions: {', '.join(revisions)}"


def _run_row(case: Case) -> tuple[str, ...]:
    middle = median(m.device_time.median for m in case.measurements)
    peaks = [m.peak_memory for m in case.measurements if m.peak_memory is not None]
    peak = format_bytes(median(peaks)) if peaks else NONE
    return throughput(case), latency(case), format_seconds(middle), peak


def _baseline_row(case: Accepted, resolution: Resolution) -> tuple[str, ...]:
    middle = median(m for s in case.series for m in s.medians)
    figures = format_rate(case.items / middle), format_seconds(middle)
    return (str(len(case.series)), *figures, _percent(resolution.spread), _percent(resolution.margin))


def _percent(fraction: float | None) -> str:
    return NONE if fraction is None else f"{fraction:.1%}"
