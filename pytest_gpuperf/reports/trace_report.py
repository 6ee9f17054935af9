"""A trace as a document: the answer first, then what each device did with its time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import get_args

from pytest_gpuperf.records.trace_analysis import (
    CPU,
    CopyTime,
    DeviceTime,
    Gap,
    GapCause,
    KernelTime,
    OnPath,
    StepTime,
    StreamTime,
    TraceAnalysis,
)
from pytest_gpuperf.records.units import format_bytes, many
from pytest_gpuperf.reports.document import DocumentPart, Heading, Sentences, Table
from pytest_gpuperf.reports.figures import NONE
from pytest_gpuperf.reports.trace_answer import MEANINGS, UNKNOWN, answer, losses, percent, remedies, seconds

ROWS = 10  # of each table; a sentence says how many there are beyond


def summary(analysis: TraceAnalysis) -> list[DocumentPart]:
    """The answer, and what to do."""
    notes = tuple(f"To be known: {note}" for note in analysis.notes)
    return [Heading(analysis.file, 1), Sentences((*answer(analysis), *remedies(analysis), *notes))]


def document(analysis: TraceAnalysis) -> list[DocumentPart]:
    """All there is to say."""
    return [*summary(analysis), *details(analysis)]


def details(analysis: TraceAnalysis) -> list[DocumentPart]:
    """The tables behind the answer."""
    several = len(analysis.devices) > 1
    return [
        *_use(analysis),
        *_steps(analysis),
        *(part for device in analysis.devices for part in _device(device, f"{device.device}: " if several else "")),
        Heading("The trace"),
        Table(("what", "value"), "ll", tuple(_facts(analysis))),
    ]


def overview(analyses: Sequence[TraceAnalysis]) -> list[DocumentPart]:
    """Many traces: a line a device."""
    rows = [row for analysis in analyses for row in _overview_rows(analysis)]
    header = ("trace", "device", "time", "computed", "exposed copies", "idle", "costs most", "step")
    return [Heading(many(len(analyses), "trace")), Table(header, "llrrrrlr", tuple(rows))]


def _overview_rows(analysis: TraceAnalysis) -> Iterator[tuple[str, ...]]:
    if not analysis.devices:
        yield (analysis.file, UNKNOWN, *[NONE] * 6)
    times = _step_times(analysis)
    step = seconds(median(times)) if times else NONE
    for device in analysis.devices:
        cause, length = next(iter(losses(device)), (None, 0.0))
        most = f"{cause or 'copies'} {_share(length, device)}" if length else NONE
        yield (analysis.file, *_use_row(device)[:3], *_exposed_and_idle(device), most, step)


def _use(analysis: TraceAnalysis) -> Iterator[DocumentPart]:
    if not analysis.devices:
        return
    yield Heading("Use of each device")
    what = "operators" if analysis.devices[0].device == CPU else "kernels"
    header = ("device", "time", "computed", "copied", "of it hidden", "exposed", "idle", what)
    rows = [
        (
            *_use_row(device),
            seconds(device.use.copy),
            NONE if device.use.overlapped is None else percent(device.use.overlapped),
            *_exposed_and_idle(device),
            str(device.kernels),
        )
        for device in analysis.devices
    ]
    yield Table(header, "lrrrrrrr", tuple(rows))
    yield from _idle(analysis.devices)


def _use_row(device: DeviceTime) -> tuple[str, str, str]:
    return device.device, seconds(device.use.seconds), _share(device.use.compute, device)


def _exposed_and_idle(device: DeviceTime) -> tuple[str, str]:
    return _share(device.use.exposed, device), _share(device.use.idle, device)


def _share(length: float, device: DeviceTime) -> str:
    """Of the device's time; of none, nothing is known."""
    return f"{percent(max(0.0, length) / device.use.seconds)}" if device.use.seconds else UNKNOWN


def _idle(devices: Sequence[DeviceTime]) -> Iterator[DocumentPart]:
    causes: list[GapCause] = [c for c in get_args(GapCause) if any(d.idle.get(c) for d in devices)]
    if not causes:
        return
    yield Heading("Idle, by cause")
    header = ("cause", *(d.device for d in devices), "what it is")
    rows = [(cause, *(_idle_cell(d, cause) for d in devices), MEANINGS[cause]) for cause in causes]
    yield Table(header, f"l{'r' * len(devices)}l", tuple(rows))


def _idle_cell(device: DeviceTime, cause: GapCause) -> str:
    length = device.idle.get(cause, 0.0)
    return f"{seconds(length)} ({_share(length, device)})" if length else NONE


def _steps(analysis: TraceAnalysis) -> Iterator[DocumentPart]:
    steps = [s for s in analysis.steps if s.uses]
    if not steps:
        return
    times = [_step_time(s) for s in steps]
    slowest = max(steps, key=_step_time)
    shown = sorted(sorted(steps, key=lambda s: -_step_time(s))[:ROWS], key=lambda s: s.start)
    more = f"; the {ROWS} slowest are shown" if len(steps) > ROWS else ""
    median_of = f"the median takes {seconds(median(times))}, " if len(steps) > 1 else ""
    yield Heading("Steps")
    yield Sentences(
        (f"{many(len(steps), 'step')}: {median_of}the slowest {seconds(max(times))} ({slowest.name}){more}",)
    )
    yield Table(("step", "start", "time", "device", "computed", "exposed", "idle"), "lrrlrrr", tuple(_step_rows(shown)))


def _step_rows(steps: Sequence[StepTime]) -> Iterator[tuple[str, ...]]:
    for step in steps:
        for device, use in step.uses.items():
            shares = [
                percent(max(0.0, length) / use.seconds) if use.seconds else UNKNOWN
                for length in (use.compute, use.exposed, use.idle)
            ]
            yield (step.name, seconds(step.start), seconds(use.seconds), device, *shares)


def _step_time(step: StepTime) -> float:
    return max(use.seconds for use in step.uses.values())


def _step_times(analysis: TraceAnalysis) -> list[float]:
    return [_step_time(step) for step in analysis.steps if step.uses]


def _device(device: DeviceTime, prefix: str) -> Iterator[DocumentPart]:
    yield from _table(f"{prefix}Longest gaps", _GAPS, "rrlll", [_gap_row(g) for g in device.gaps[:ROWS]])
    yield from _table(f"{prefix}Copies", _COPIES, "lrrrrr", [_copy_row(c) for c in device.copies])
    streams = sorted(device.streams, key=lambda s: -s.busy)
    title, unit = ("Threads", "operators") if device.device == CPU else ("Streams", "kernels")
    yield from _table(
        f"{prefix}{title}",
        (title[:-1].lower(), unit, *_STREAMS),
        "lrrrr",
        [_stream_row(s, device) for s in streams[:ROWS]],
    )
    yield from _beyond(len(streams), title.lower())
    yield from _table(
        f"{prefix}{unit.capitalize()} that took most",
        (unit[:-1], *_KERNELS),
        "lrrrrr",
        [_kernel_row(k, device) for k in device.top[:ROWS]],
    )
    whole = sum(device.path.values())
    rows = [(part, seconds(device.path[part]), percent(device.path[part] / whole)) for part in _path(device)]
    yield from _table(f"{prefix}Critical path", ("what", "time", "share"), "lrr", rows)


_GAPS = ("start", "length", "cause", "between", "the host was in")
_COPIES = ("direction", "copies", "bytes", "time", "reached", "not pinned")
_STREAMS = ("copies", "busy", "share")
_KERNELS = ("count", "time", "share", "each", "critical")


def _table(title: str, header: tuple[str, ...], align: str, rows: Sequence[tuple[str, ...]]) -> Iterator[DocumentPart]:
    if rows:
        yield Heading(title)
        yield Table(header, align, tuple(rows))


def _beyond(count: int, what: str) -> Iterator[DocumentPart]:
    if count > ROWS:
        yield Sentences((f"{count - ROWS} more {what}, each of them less busy",))


def _gap_row(gap: Gap) -> tuple[str, ...]:
    return seconds(gap.start), seconds(gap.seconds), gap.cause, f"{gap.before} -> {gap.after}", gap.host or UNKNOWN


def _copy_row(copy: CopyTime) -> tuple[str, ...]:
    return (
        copy.kind,
        str(copy.count),
        UNKNOWN if copy.bytes is None else format_bytes(copy.bytes),
        seconds(copy.seconds),
        UNKNOWN if copy.bandwidth is None else f"{format_bytes(copy.bandwidth)}/s",
        str(copy.pageable) if copy.pageable else NONE,
    )


def _stream_row(stream: StreamTime, device: DeviceTime) -> tuple[str, ...]:
    return stream.stream, str(stream.kernels), str(stream.copies), seconds(stream.busy), _share(stream.busy, device)


def _kernel_row(kernel: KernelTime, device: DeviceTime) -> tuple[str, ...]:
    return (
        kernel.name,
        str(kernel.count),
        seconds(kernel.seconds),
        percent(kernel.seconds / device.kernel_seconds) if device.kernel_seconds else UNKNOWN,
        seconds(kernel.seconds / kernel.count),
        UNKNOWN if kernel.on_path is None else seconds(kernel.on_path),
    )


def _path(device: DeviceTime) -> list[OnPath]:
    """Its parts, the longest first."""
    return sorted((part for part, length in device.path.items() if length > 0), key=lambda part: -device.path[part])


def _facts(analysis: TraceAnalysis) -> Iterator[tuple[str, str]]:
    yield "file", analysis.file
    yield "SHA-256", analysis.sha256
    yield "recorded by", analysis.tool + (f", schema {analysis.schema}" if analysis.schema else "")
    yield "from the first thing to the last", seconds(analysis.seconds)
    for device in analysis.devices:
        yield device.device, device.name or ("the processor" if device.device == CPU else "its name is unknown")
