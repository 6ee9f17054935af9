"""Two traces of one program as a document: how much slower, where the time went, and which kernels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from pytest_gpuperf.comparison.trace_change import DeviceChange, Pair, TraceChange, why
from pytest_gpuperf.records.trace_analysis import TraceAnalysis
from pytest_gpuperf.records.units import format_change, format_seconds, in_words, many
from pytest_gpuperf.reports.annotations import command
from pytest_gpuperf.reports.document import DocumentPart, Heading, Sentences, Table
from pytest_gpuperf.reports.figures import COMPARED, NONE
from pytest_gpuperf.reports.tables import visible
from pytest_gpuperf.reports.trace_answer import LEAST, answer
from pytest_gpuperf.reports.trace_report import ROWS
from pytest_gpuperf.reports.why import KERNEL_HEADER, kernel_rows

WEAK = (
    "Two profiles are weak proof: a profiler slows each call, and a process of the same code differs from the next. "
    "For a verdict measure both revisions in turns: `gpuperf ab BASE HEAD -- PYTEST-ARGUMENTS`"
)


def change_document(before: TraceAnalysis, after: TraceAnalysis, change: TraceChange) -> list[DocumentPart]:
    """The change first."""
    causes, verdict = why(change), change.verdict
    judged = () if verdict is None else (f"{verdict.word}: {verdict.reason}",)
    reasons = tuple(f"why: {cause}" for cause in causes) or ("why: nothing in the two traces tells",)
    return [
        Heading(f"{before.file} -> {after.file}", 1),
        Sentences((headline(change), *judged, *reasons, WEAK)),
        *([Heading("To be known"), Sentences(change.notes)] if change.notes else []),
        Heading("Before and after"),
        Sentences(tuple(f"{analysis.file}: {line}" for analysis in (before, after) for line in answer(analysis))),
        *(part for device in change.devices for part in _device(device, change)),
    ]


def github_annotation(change: TraceChange, environment: Mapping[str, str] = os.environ) -> str | None:
    """The line that a job on GitHub prints, so that the pull request names the kernel; None where nothing is amiss."""
    verdict = change.verdict
    if verdict is None or verdict.word == "unchanged" or environment.get("GITHUB_ACTIONS") != "true":
        return None
    lines = [headline(change), *(f"why: {cause}" for cause in why(change))]
    level = "error" if verdict.word == "regressed" else "warning"
    title = f"{change.after.file} {verdict.word}: {verdict.reason}"
    return command(level, "\n".join(map(visible, lines)), title=visible(title))


def headline(change: TraceChange) -> str:
    """``31.2 ms -> 33.9 ms a step, 8.7% slower (interval +7.9% to +9.4%): ...``."""
    times = f"{format_seconds(change.time.before, COMPARED)} -> {format_seconds(change.time.after, COMPARED)}"
    interval = change.interval
    if interval is None:
        known = "no interval: too few steps" if change.steps else "no steps are marked, so no interval is known"
    else:
        known = f"95% interval {format_change(interval[0])} to {format_change(interval[1])}"
    if change.steps is None:
        return f"{times} from the first kernel or copy to the last, {in_words(change.ratio)} ({known})"
    return f"{times} a step, {in_words(change.ratio)} ({known}): the median of {_counted(change)}"


def _counted(change: TraceChange) -> str:
    sides = (change.before, change.after)
    counts = " and ".join(many(side.steps, "step") for side in sides)
    return f"{counts} called {change.steps}{_left_out(*(side.left_out for side in sides))}"


def _left_out(before: int, after: int) -> str:
    if not before and not after:
        return ""
    first = (
        f"first {before} and the first {after}"
        if before != after
        else f"first {before if before > 1 else 'one'} of each"
    )
    return f", without the {first}, which warm up"


def _device(device: DeviceChange, change: TraceChange) -> Iterator[DocumentPart]:
    unit = "a step, the median" if change.steps else "the whole trace"
    figures = {"computed": device.compute, "exposed copies": device.exposed, "idle": device.idle}
    yield Heading(f"{device.device}, {unit}")
    yield Table(("what", "before", "after", "change"), "lrrr", tuple(_row(name, figures[name]) for name in figures))
    if device.causes:
        yield Heading(f"{device.device}, idle by cause{', a step of the whole trace' if change.steps else ''}")
        rows = tuple(_row(cause, pair) for cause, pair in device.causes.items())
        yield Table(("cause", "before", "after", "change"), "lrrr", rows)
    changed = [k for k in device.explanation.kernels if k.word != "same"]
    if changed:
        yield Heading(f"{device.device}, {device.explanation.unit}s that changed, in the whole trace")
        scaled = change.before.steps + change.before.left_out != change.after.steps + change.after.left_out
        if scaled:
            yield Sentences(("before is scaled to as many steps as after has",))
        rows = tuple(kernel_rows(changed[:ROWS]))
        yield Table((device.explanation.unit, *KERNEL_HEADER[1:]), "lrrrrl", rows)
        if len(changed) > ROWS:
            yield Sentences((f"{len(changed) - ROWS} more, each of them changed by less",))


def _row(what: str, pair: Pair) -> tuple[str, str, str, str]:
    ratio = pair.ratio
    return what, _time(pair.before), _time(pair.after), NONE if ratio is None else format_change(ratio)


def _time(value: float) -> str:
    return "0 s" if value < LEAST else format_seconds(value, COMPARED)
