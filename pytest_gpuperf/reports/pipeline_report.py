"""A pipeline's stages, for whoever wants to know what to change: as a table, and as facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_gpuperf.records.model import Run
from pytest_gpuperf.records.pipeline import PipelineFigures, StageFigures
from pytest_gpuperf.records.units import format_rate, format_seconds, many, significant
from pytest_gpuperf.reports.figures import NONE
from pytest_gpuperf.reports.tables import by_file, prose, table

_FEW = 3  # pipelines: more of them are compared first
# An item's time in the stage, beside the others and alone; then shares of the time: at work, with no item to work on,
# and with no room behind it. Last, how many items wait before it.
_HEADER = ("stage", "where", "an item", "alone", "works", "no item", "no room", "queue")


def render_pipelines(run: Run, width: int) -> str:
    """The pipelines of a run, as its last session measured them: side by side, and of a few the stages."""
    found = [(c.id, figures) for c in run.cases if (figures := c.measurements[-1].pipeline) is not None]
    blocks = [_side_by_side(found, width)] if len(found) > 1 else []
    if len(found) <= _FEW:
        blocks += [_lines(name, figures, width) for name, figures in found]
    else:
        blocks.append(["The stages of each: --gpuperf-html FILE"])
    return "\n\n".join("\n".join(block) for block in blocks) if found else ""


def _side_by_side(found: Sequence[tuple[str, PipelineFigures]], width: int) -> list[str]:
    cells = by_file(
        (
            name,
            (
                format_rate(figures.throughput),
                f"{figures.efficiency:.0%}",
                f"x{significant(figures.speedup)}",
                format_seconds(figures.latency.mean),
                figures.bottleneck,
            ),
        )
        for name, figures in found
    )
    return table(("pipeline", "throughput", "of its bound", "overlap", "latency", "limited by"), "lrrrrl", cells, width)


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
