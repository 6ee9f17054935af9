"""A pipeline's stages, for whoever wants to know what to change: as a table, and as facts."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_gpuperf.records.model import Run
from pytest_gpuperf.records.pipeline import PipelineFigures, StageFigures
from pytest_gpuperf.records.units import format_rate, format_seconds, many, significant
from pytest_gpuperf.reports.figures import NONE
from pytest_gpuperf.reports.tables import prose, table

# An item's time in the stage, beside the others and alone; then shares of the time: at work, with no item to work on,
# and with no room behind it. Last, how many items wait before it.
_HEADER = ("stage", "where", "an item", "alone", "works", "no item", "no room", "queue")


def render_pipelines(run: Run, width: int) -> str:
    """The stages of each pipeline of a run, as its last session measured them; nothing where there is none."""
    return "\n\n".join(
        "\n".join(_lines(case.id, figures, width))
        for case in run.cases
        if (figures := case.measurements[-1].pipeline) is not None
    )


def _lines(name: str, figures: PipelineFigures, width: int) -> list[str]:
    rows = [
        (
            stage.name,
            _workers(stage),
            format_seconds(stage.busy),
            format_seconds(stage.alone),
            f"{stage.busy_share:.0%}",
            f"{stage.input_share:.0%}",
            f"{stage.room_share:.0%}",
            _queue(stage),
        )
        for stage in figures.every
    ]
    return [
        *prose(f"pipeline {name}", width, hanging="  "),
        *prose(headline(figures), width, "  "),
        *table(_HEADER, "llrrrrrr", {"": rows}, width),
        *prose(f"why: {figures.reason}", width, hanging="  "),
    ]


def headline(figures: PipelineFigures) -> str:
    """How fast it is, and what limits it: ``1.96 k/s, 98% of what decode allows, limited by decode``."""
    how = "" if figures.overlap else "; nothing overlaps"
    return (
        f"{format_rate(figures.throughput)}, {figures.efficiency:.0%} of what {figures.slowest.name} allows, "
        f"limited by {figures.bottleneck}{how}"
    )


def pipeline_facts(figures: PipelineFigures) -> Iterator[tuple[str, str]]:
    """A fact a line, as a name and what it is."""
    yield "pipeline", headline(figures)
    yield "limited by", f"{figures.bottleneck}: {figures.reason}"
    yield "beside one stage after the other", f"{significant(figures.speedup)} times as fast"
    yield "from the source to the end", f"{format_seconds(figures.latency.mean)}, the mean item"
    for stage in figures.every:
        time = f"{format_seconds(stage.busy)} an item ({format_seconds(stage.alone)} alone)"
        works = f"works {stage.busy_share:.0%} of the time"
        waits = f"waits for items {stage.input_share:.0%}, for room {stage.room_share:.0%}"
        yield f"stage {stage.name}", f"{_workers(stage)}, {time}, {works}, {waits}; queue before it {_queue(stage)}"


def _workers(stage: StageFigures) -> str:
    return many(stage.workers, stage.where)


def _queue(stage: StageFigures) -> str:
    return NONE if stage.queue is None else f"{stage.queue.mean:.1f} of {stage.queue.capacity}"
