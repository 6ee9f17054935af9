"""One pipeline, measured: each stage alone, then all together until there are enough items."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.gate.median_interval import median_half_width
from pytest_gpuperf.pipeline.bottleneck import Shown, find_bottleneck
from pytest_gpuperf.pipeline.figures import Alone, Stretch, alone, queue_figures, stage_figures
from pytest_gpuperf.pipeline.line import Line
from pytest_gpuperf.pipeline.stage import PipelineStage, check, cores, notes_on
from pytest_gpuperf.pipeline.steady import FEWEST, Steady, blocks_of, samples_of
from pytest_gpuperf.records.latency import latency_of
from pytest_gpuperf.records.model import Evidence, Measurement
from pytest_gpuperf.records.pipeline import SOURCE, PipelineFigures, StageFigures

QUEUE = 2
TIMEOUT = 60.0
BUDGET = 10.0
_ALONE_LEAST = 4  # items that go through the stages alone, the first of which only warms up ...
_ALONE_MOST = 24
_ALONE_SHARE = 0.1  # ... of the budget


@dataclass(frozen=True)
class Measured:
    """A pipeline's figures, with what the gate needs of them."""

    figures: PipelineFigures
    samples: tuple[float, ...]  # seconds an item
    latencies: tuple[float, ...]
    first_item: float
    warmup_items: int
    warmup_seconds: float
    first: Any  # the first item, to look once more at what it runs

    def measurement(self, session: str, evidence: Evidence | None = None, notes: tuple[str, ...] = ()) -> Measurement:
        """As a case's measurement: its throughput is what is judged."""
        figures = self.figures
        return Measurement(
            session=session,
            items=figures.batch,
            clock="host",
            blocks=blocks_of(self.samples),
            span_calls=max(figures.items // len(self.samples), 1),
            ended="steady" if figures.ended == "steady" else "cap",
            interval=median_half_width(self.samples),
            latencies=self.latencies,
            first_call=self.first_item,
            warmup_calls=self.warmup_items,
            warmup_seconds=self.warmup_seconds,
            evidence=evidence,
            pipeline=figures,
            notes=(*figures.notes, *notes),
        )


def run_pipeline(
    stages: Sequence[PipelineStage],
    source: Iterable[Any],
    *,
    queue: int = QUEUE,
    batch: int = 1,
    overlap: bool = True,
    timeout: float = TIMEOUT,
    budget: float = BUDGET,
) -> PipelineFigures:
    """Measure a pipeline for about `budget` seconds, or less where its figures are steady before.

    `queue` is how many items wait between two stages at most, `batch` how many images (or whatever throughput counts)
    an item holds, `timeout` the seconds that a stage, or the source, may take over one item. Without `overlap` the
    stages run one after the other in one thread.
    """
    return measure_pipeline(
        stages, source, queue=queue, batch=batch, overlap=overlap, timeout=timeout, budget=budget
    ).figures


def measure_pipeline(
    stages: Sequence[PipelineStage],
    source: Iterable[Any],
    *,
    queue: int,
    batch: int,
    overlap: bool,
    timeout: float,
    budget: float,
) -> Measured:
    """The same, with the samples that its figures are of."""
    check(stages, source, queue, batch)
    line = Line(stages, source, queue, timeout)
    try:
        line.open()
        return _run(line, queue, batch, budget, overlap=overlap)
    finally:
        line.close()


def run_once(
    stages: Sequence[PipelineStage],
    source: Iterable[Any],
    *,
    queue: int = QUEUE,
    batch: int = 1,
    timeout: float = TIMEOUT,
) -> PipelineFigures:
    """One item through one stage after the other, in one thread: nothing is measured by that."""
    check(stages, source, queue, batch)
    line = Line([replace(stage, where="thread", workers=1) for stage in stages], source, queue, timeout)
    try:
        line.open()
        line.run_alone(lambda: bool(line.finished.times))
    finally:
        line.close()
    if not line.finished.times:
        raise UsageError(_NOTHING)
    (given, done), *_ = line.finished.times
    stretch = Stretch(line.source.busy[0], done, 1)
    timelines = [line.source, *(worker.timeline for (worker,) in line.workers)]
    names = [SOURCE, *(stage.name for stage in stages)]
    source_figures, *others = (
        stage_figures(name, "thread", [timeline], alone(timeline), stretch, None)
        for name, timeline in zip(names, timelines, strict=True)
    )
    return PipelineFigures(
        overlap=False,
        depth=0,
        batch=batch,
        source=source_figures,
        stages=tuple(others),
        items=1,
        seconds=stretch.seconds,
        excluded=0.0,
        passes=1,
        latency=latency_of([done - given]),
        cores=cores(),
        cpu=sum(stage.cpu or 0.0 for stage in (source_figures, *others)),
        ended="cap",
        bottleneck=max((source_figures, *others), key=lambda stage: stage.bound).name,
        reason="one item went through each stage, and nothing was measured",
    )


_NOTHING = "The source gives no items at all. Give it at least one, or see why it is empty."


def _run(line: Line, depth: int, batch: int, budget: float, *, overlap: bool) -> Measured:
    began = perf_counter()

    def warm() -> bool:
        items = len(line.finished.times)
        return items >= _ALONE_MOST or (items >= _ALONE_LEAST and perf_counter() - began > _ALONE_SHARE * budget)

    line.run_alone(warm)
    if not line.finished.times:
        raise UsageError(_NOTHING)
    line.settle()
    before = [alone(line.source), *(alone(workers[0].timeline) for workers in line.workers)]
    given, done = line.finished.times[0]
    warmup_items = len(line.finished.times)
    line.begin_anew()
    steady = Steady(line, line.capacity if overlap else 1, budget)
    if overlap:
        line.run_together(steady.look)
    else:
        line.run_alone(steady.look)
    if steady.begin is not None:
        steady.close()
    line.settle()
    counted = steady.counted()
    if len(counted) < FEWEST:
        raise UsageError(_too_short(line, warmup_items, len(counted)))
    stretch = Stretch(counted[0][1], counted[-1][1], len(counted) - 1)
    figures = _figures(line, steady, stretch, before, counted, depth, batch, overlap=overlap)
    return Measured(
        figures=figures,
        samples=samples_of([end for _, end in counted], line),
        latencies=tuple(end - start for start, end in counted[1:]),
        first_item=max(done - given, 1e-9),
        warmup_items=warmup_items + sum(end <= stretch.begin for _, end in line.finished.times),
        warmup_seconds=stretch.begin - began,
        first=line.items.first,
    )


def _too_short(line: Line, warmup_items: int, counted: int) -> str:
    return (
        f"The source gave {line.number} items and ended, which is too few: {warmup_items} went through the stages one "
        f"after the other, {line.capacity} fill the pipeline, and {counted} of at least {FEWEST} were left to measure. "
        f"Give more, or a source that can begin anew: a list, or a DataLoader."
    )


def _figures(
    line: Line,
    steady: Steady,
    stretch: Stretch,
    before: Sequence[Alone],
    counted: Sequence[tuple[float, float]],
    depth: int,
    batch: int,
    *,
    overlap: bool,
) -> PipelineFigures:
    assert steady.begin is not None
    assert steady.end is not None
    pairs = zip(line.buffers, steady.begin.tallies, steady.end.tallies, strict=True)
    queues = [queue_figures(buffer.capacity, first, last) for buffer, first, last in pairs]
    stages: list[StageFigures] = [stage_figures(SOURCE, "thread", [line.source], before[0], stretch, None)]
    for index, (stage, workers) in enumerate(zip(line.stages, line.workers, strict=True)):
        timelines = [worker.timeline for worker in (workers if overlap else workers[:1])]
        queue = queues[index] if overlap else None
        stages.append(stage_figures(stage.name, stage.where, timelines, before[index + 1], stretch, queue))
    period = stretch.seconds / stretch.items
    begin, end = steady.begin, steady.end
    an_item = period / max(end.at - begin.at, 1e-9)
    cpu = max(0.0, end.cpu - begin.cpu) * an_item  # a process that ended meanwhile is not counted any more
    shown = Shown(
        stages=stages,
        waited_alone=[max(0.0, each.busy - each.cpu) for each in before],
        period=period,
        cpu=cpu,
        own=(end.own - begin.own) * an_item,
        cores=cores(),
        overlap=overlap,
    )
    bottleneck, reason = find_bottleneck(shown)
    return PipelineFigures(
        overlap=overlap,
        depth=depth if overlap else 0,
        batch=batch,
        source=stages[0],
        stages=tuple(stages[1:]),
        items=stretch.items,
        seconds=stretch.seconds,
        excluded=1 - stretch.items / line.number,
        passes=line.items.passes,
        latency=latency_of([end - given for given, end in counted[1:]]),
        cores=cores(),
        cpu=cpu,
        ended=steady.ended,
        bottleneck=bottleneck,
        reason=reason,
        notes=tuple(_notes(line, steady, overlap=overlap)),
    )


def _notes(line: Line, steady: Steady, *, overlap: bool) -> list[str]:
    notes = list(notes_on(line.stages)) if overlap else []
    if not steady.full:
        notes.append(
            f"it was measured before {line.capacity} items had come out, which fill it: an item waits longer in it "
            f"once its queues are full. Allow it more time: a larger budget"
        )
    return notes
