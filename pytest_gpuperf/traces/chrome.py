"""torch.profiler's Chrome JSON: one event after another, without ever holding all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from pytest_gpuperf.traces.activities import COPY, FILL, KERNEL, NO_BYTES, NO_CORRELATION, Trace
from pytest_gpuperf.traces.gathering import Gathering
from pytest_gpuperf.traces.json_array import Events
from pytest_gpuperf.traces.strangers import not_a_trace
from pytest_gpuperf.traces.unpacked import Say, Unpacked

_WORK, _CALL, _OPERATOR, _RANGE = range(4)
_WIDEST = 2**62  # an id beyond it is kept as its hash
_MOST_BYTES = 2**50
# Categories as torch has called them since 1.8, in lower case. Another accelerator's runtime ends in the same words.
_TABLES = {
    "kernel": (_WORK, KERNEL),
    "gpu_memcpy": (_WORK, COPY),
    "memcpy": (_WORK, COPY),
    "gpu_memset": (_WORK, FILL),
    "memset": (_WORK, FILL),
    "cpu_op": (_OPERATOR, 0),
    "operator": (_OPERATOR, 0),
    "user_annotation": (_RANGE, 0),
}
_CALLS = re.compile(r"(?:^|_)(?:runtime|driver)$")


class Arguments(Struct, gc=False):
    """What an event says of itself, as far as it is used."""

    device: int | str | None = None
    stream: int | str | None = None
    correlation: int | None = None
    bytes: float | None = None


class Event(Struct, gc=False):
    """One event. Ids are numbers or texts."""

    ph: str | None = None
    cat: str | None = None
    name: str | None = None
    pid: int | str | None = None
    tid: int | str | None = None
    ts: float | None = None
    dur: float = 0.0
    args: Arguments | None = None


class Device(Struct):
    """A card, as torch describes it."""

    id: int
    name: str = ""


class Head(Struct):
    """What a trace says beside its events."""

    schema: int | str | float | None = field(name="schemaVersion", default=None)
    devices: list[Device] = field(name="deviceProperties", default_factory=list[Device])
    distributed: dict[str, Any] | None = field(name="distributedInfo", default=None)


class _Tables(dict[str | None, tuple[int, int] | None]):
    """Category -> the table it goes to. Most traces have a dozen categories."""

    def __missing__(self, category: str | None) -> tuple[int, int] | None:
        word = (category or "").lower()
        found = (_CALL, 0) if _CALLS.search(word) else _TABLES.get(word)
        self[category] = found
        return found


def read_chrome(path: Path, say: Say | None = None) -> Trace:
    """What a torch.profiler trace holds."""
    source = Unpacked(path, say)
    events = Events(source.chunks(), msgspec.json.Decoder(list[Event], strict=False))
    filling = _Filling()
    has_times = False
    for batch in events.batches():
        has_times = has_times or any(event.ts is not None for event in batch)
        filling.take(batch)
    if not events.found or (events.is_bare and not has_times):
        raise not_a_trace(path, events.outside, damage=source.damage)
    head = _head(events.outside)
    notes = list(_notes_of(head))
    if events.unreadable:
        notes.append(f"{events.unreadable:,} events could not be read, and are left out.")
    if has_times and filling.is_empty:
        notes.append(f"None of its {events.count:,} events is torch.profiler's: {_listed(filling.tables)}.")
    trace = filling.gathering.finished(
        "torch.profiler",
        None if head.schema is None else str(head.schema),
        source.sha256,
        {f"cuda:{device.id}": device.name for device in head.devices if device.name},
    )
    if events.is_cut or source.damage is not None:
        why = source.damage or "the file ends in the middle"
        notes.insert(
            0, f"Not all of it is here: {why}. {events.count:,} events were read, up to {trace.end / 1e9:g} s."
        )
    return replace(trace, notes=(*notes, *trace.notes))


class _Filling:
    """Events, sorted into tables. Neighbours are mostly on one thread, and within one operator."""

    def __init__(self) -> None:
        """Nothing is in the tables."""
        self.gathering, self.tables = Gathering(nanoseconds=False), _Tables()
        self._inside: dict[int, tuple[float, float]] = {}  # the operator that each thread is in

    @property
    def is_empty(self) -> bool:
        """Whether no event was of a kind that is used."""
        gathering = self.gathering
        return not any(map(len, (gathering.work, gathering.calls, gathering.operators, gathering.ranges)))

    def take(self, events: list[Event]) -> None:
        """A batch of them."""
        work: list[tuple[Any, ...]] = []
        calls: list[tuple[Any, ...]] = []
        operators: list[tuple[Any, ...]] = []
        ranges: list[tuple[Any, ...]] = []
        gathering, tables, inside = self.gathering, self.tables, self._inside
        process = number = thread = None
        for event in events:
            place = tables[event.cat]
            if place is None:
                continue
            start, length = event.ts, event.dur
            if start is None or event.ph != "X":
                continue
            table, kind = place
            if table == _WORK:
                name = gathering.kernel(event.name) if kind == KERNEL else gathering.name(event.name)
                lane = _stream(event, gathering)
                work.append((lane, start, length, name, _correlation(event.args), kind, _bytes(event.args)))
                continue
            if event.tid != number or event.pid != process or thread is None:
                process, number = event.pid, event.tid
                thread = gathering.thread(process, number)
            if table == _OPERATOR:
                outer = inside.get(thread)
                if outer is not None and outer[0] <= start and start + length <= outer[1] and length >= 0:
                    continue  # a part of the one before
                inside[thread] = (start, start + length)
                operators.append((thread, start, length, gathering.name(event.name)))
            elif table == _CALL:
                calls.append((thread, start, length, gathering.name(event.name), _correlation(event.args)))
            else:
                ranges.append((thread, start, length, gathering.name(event.name)))
        gathering.work.extend(work)
        gathering.calls.extend(calls)
        gathering.operators.extend(operators)
        gathering.ranges.extend(ranges)


def _correlation(arguments: Arguments | None) -> int:
    if arguments is None or arguments.correlation is None:
        return NO_CORRELATION
    found = arguments.correlation
    return found if -_WIDEST < found < _WIDEST else hash(found)


def _bytes(arguments: Arguments | None) -> int:
    if arguments is None or arguments.bytes is None or not 0 <= arguments.bytes <= _MOST_BYTES:
        return NO_BYTES
    return int(arguments.bytes)


def _stream(event: Event, gathering: Gathering) -> int:
    device, stream = (None, None) if event.args is None else (event.args.device, event.args.stream)
    return gathering.stream(event.pid if device is None else device, event.tid if stream is None else stream)


def _head(texts: list[bytes]) -> Head:
    """From before and behind the events, what of it can be read."""
    found = Head()
    for text in texts:
        try:
            head = msgspec.json.decode(text.decode(errors="replace"), type=Head, strict=False)
        except msgspec.DecodeError:  # names and versions are not worth the trace
            continue
        found = Head(
            schema=found.schema if head.schema is None else head.schema,
            devices=found.devices or head.devices,
            distributed=found.distributed or head.distributed,
        )
    return found


def _notes_of(head: Head) -> Iterator[str]:
    if head.distributed is not None and "rank" in head.distributed:
        size = head.distributed.get("world_size")
        yield f"This is rank {head.distributed['rank']}{f' of {size}' if size else ''} of a distributed run."


def _listed(tables: _Tables) -> str:
    found = sorted(str(category) for category in tables)
    return f"its categories are {', '.join(found[:8])}{' and others' if len(found) > 8 else ''}"
