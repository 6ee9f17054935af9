"""How one device spent its time: the record, from its pieces of work."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_gpuperf.records.trace_analysis import CPU, CopyTime, DeviceTime, Gap, KernelTime, StreamTime, Use
from pytest_gpuperf.traces.activities import FILL, KERNEL, NO_BYTES, Ints, Trace, Work
from pytest_gpuperf.traces.critical_path import Path, find_path
from pytest_gpuperf.traces.gaps import CAUSES, Gaps, explain_gaps, operator_gaps
from pytest_gpuperf.traces.host import Host
from pytest_gpuperf.traces.intervals import Union, both, union
from pytest_gpuperf.traces.occupied import host_names

SECOND = 1e9  # nanoseconds
_GAPS, _TOP = 50, 30  # that are kept
_DIRECTION = re.compile(r"Memcpy (\w)\w*to(\w)", re.IGNORECASE)
_PLACES = {"h": "host", "d": "device", "a": "array", "p": "peer"}


@dataclass(frozen=True, slots=True)
class Device:
    """One device's part of a trace."""

    label: str
    work: Work
    lanes: Sequence[str]  # what its streams are called, by their places
    gaps: Gaps
    path: Path | None
    compute: Union
    copy: Union
    overlap: Union

    @property
    def start(self) -> int:
        """Of its first piece of work."""
        return int(self.work.spans.start[0])

    @property
    def end(self) -> int:
        """Of its last."""
        return int(self.work.spans.end.max())

    def uses(self, start: Ints, end: Ints) -> list[Use]:
        """How it spent each of these times."""
        columns = [times.within(start, end) for times in (self.compute, self.copy, self.overlap)]
        return [
            Use(seconds=int(length) / SECOND, compute=int(k) / SECOND, copy=int(c) / SECOND, both=int(o) / SECOND)
            for length, k, c, o in zip(end - start, *columns, strict=True)
        ]


def devices_of(trace: Trace, host: Host) -> list[Device]:
    """Those that did something; the processor, where the trace has no kernels and no copies."""
    if not len(trace.work):
        return [_processor(trace, host)] if len(trace.operators) else []
    labels = sorted({trace.streams[lane][0] for lane in trace.work.spans.lanes()}, key=_natural)
    return [_card(trace, host, label) for label in labels]


def _natural(label: str) -> tuple[tuple[bool, int, str], ...]:
    return tuple((part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", label))


def _card(trace: Trace, host: Host, label: str) -> Device:
    work, which = trace.work_on(label)
    launch = host.launch[which]
    spans = work.spans
    kernels = work.kind == KERNEL
    compute = union(spans.start[kernels], spans.end[kernels])
    copy = union(spans.start[~kernels], spans.end[~kernels])
    gaps = explain_gaps(spans, launch, host)
    path = find_path(work, launch, host, gaps.longest_launch) if len(host.calls) else None
    lanes = [stream for _, stream in trace.streams]
    return Device(label, work, lanes, gaps, path, compute, copy, both(compute, copy))


def _processor(trace: Trace, host: Host) -> Device:
    spans = trace.operators
    unknown = np.broadcast_to(np.int64(NO_BYTES), len(spans))
    work = Work(spans, unknown, np.broadcast_to(np.int32(KERNEL), len(spans)), unknown)
    busy, none = union(spans.start, spans.end), Union(spans.start[:0], spans.end[:0])
    return Device(CPU, work, trace.threads, operator_gaps(spans, host), None, busy, none, none)


def record_of(trace: Trace, host: Host, device: Device) -> DeviceTime:
    """All that is reported of it."""
    spans, kernels = device.work.spans, device.work.kind == KERNEL
    length = spans.end - spans.start
    whole = np.array([device.start]), np.array([device.end])
    idle = np.bincount(device.gaps.cause, weights=device.gaps.end - device.gaps.start, minlength=len(CAUSES))
    parts = {} if device.path is None else device.path.parts
    return DeviceTime(
        device=device.label,
        name=trace.devices.get(device.label),
        start=device.start / SECOND,
        use=device.uses(*whole)[0],
        kernels=int(np.count_nonzero(kernels)),
        kernel_seconds=int(length[kernels].sum()) / SECOND,
        idle={cause: float(total) / SECOND for cause, total in zip(CAUSES, idle, strict=True) if total},
        gaps=tuple(_longest_gaps(trace, host, device)),
        path={part: total / SECOND for part, total in parts.items()},
        copies=tuple(_copies(trace.names, device.work)),
        streams=tuple(_streams(device)),
        top=tuple(_top(trace.names, device, length, kernels)),
    )


def _longest_gaps(trace: Trace, host: Host, device: Device) -> Iterator[Gap]:
    gaps, names = device.gaps, device.work.spans.name
    longest = np.argsort(gaps.start - gaps.end, kind="stable")[:_GAPS]
    for place, doing in zip(longest, host_names(trace, host, gaps, longest), strict=True):
        yield Gap(
            start=int(gaps.start[place]) / SECOND,
            seconds=int(gaps.end[place] - gaps.start[place]) / SECOND,
            cause=CAUSES[gaps.cause[place]],
            before=trace.text(names[gaps.before[place]]),
            after=trace.text(names[gaps.after[place]]),
            host=doing,
        )


def _copies(names: Sequence[str], work: Work) -> Iterator[CopyTime]:
    moved = work.taken(work.kind != KERNEL)
    kinds: dict[str, list[int]] = {}
    fills = {int(name) for name in np.unique(moved.spans.name[moved.kind == FILL])}
    for name in map(int, np.unique(moved.spans.name)):
        kinds.setdefault("fill" if name in fills else _direction(names[name]), []).append(name)
    found: list[CopyTime] = []
    for kind, places in kinds.items():
        ours = moved.taken(np.isin(moved.spans.name, places))
        pageable = [place for place in places if "pageable" in names[place].lower()]
        known = bool((ours.bytes != NO_BYTES).all())
        found.append(
            CopyTime(
                kind=kind,
                count=len(ours),
                seconds=int((ours.spans.end - ours.spans.start).sum()) / SECOND,
                bytes=int(ours.bytes.sum()) if known else None,
                pageable=int(np.isin(ours.spans.name, pageable).sum()),
            )
        )
    yield from sorted(found, key=lambda copy: -copy.seconds)


def _direction(name: str) -> str:
    """``Memcpy HtoD (Pageable -> Device)`` -> ``host to device``."""
    found = _DIRECTION.search(name)
    if found is None:
        return name
    return " to ".join(_PLACES.get(letter.lower(), letter) for letter in found.groups())


def _streams(device: Device) -> Iterator[StreamTime]:
    spans, kernels = device.work.spans, device.work.kind == KERNEL
    for lane in spans.lanes():
        mine = spans.lane == lane
        computing = int(np.count_nonzero(mine & kernels))
        yield StreamTime(
            stream=device.lanes[lane] or "(no name)",
            kernels=computing,
            copies=int(np.count_nonzero(mine)) - computing,
            busy=union(spans.start[mine], spans.end[mine]).total / SECOND,
        )


def _top(names: Sequence[str], device: Device, length: Ints, kernels: NDArray[Any]) -> Iterator[KernelTime]:
    name = device.work.spans.name
    count = np.bincount(name[kernels], minlength=len(names))
    total = np.bincount(name[kernels], weights=length[kernels], minlength=len(names))
    on_path = None
    if device.path is not None:
        on_path = np.bincount(name[device.path.work], weights=device.path.length, minlength=len(names))
    found = map(int, np.flatnonzero(count))
    for place in sorted(found, key=lambda place: (-total[place], names[place]))[:_TOP]:
        yield KernelTime(
            name=names[place],
            count=int(count[place]),
            seconds=float(total[place]) / SECOND,
            on_path=None if on_path is None else float(on_path[place]) / SECOND,
        )
