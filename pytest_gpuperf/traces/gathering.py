"""Columns that grow while a file is read, and become a `Trace`: a few bytes a thing, and each name once."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_gpuperf.records.trace_analysis import Tool
from pytest_gpuperf.traces.activities import Calls, Ints, Spans, Trace, Work
from pytest_gpuperf.traces.names import shortened

_NAMES = 100_000  # that are kept: a program that gives each step its own text must not fill the memory
_NAMELESS = "(no name)"
_TOO_MANY = "(one of too many names)"
_LONGEST = 200  # characters of a name
_FARTHEST = 2e17  # nanoseconds from the middle of a trace, six years: what is farther away is a mistake
_WORK, _CALLS, _OPERATORS, _RANGES = range(4)


class Table:
    """Rows of a lane, a start, a length, a name, and what else the table has."""

    def __init__(self, time: str, others: str = "") -> None:
        """`time`, `others`: columns as `array` names their kinds."""
        self._columns: list[array[Any]] = [array(kind) for kind in f"i{time}{time}i{others}"]

    def __len__(self) -> int:
        """How many rows."""
        return len(self._columns[0])

    def extend(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """More rows."""
        if rows:
            for column, values in zip(self._columns, zip(*rows, strict=True), strict=True):
                column.extend(values)

    def extend_columns(self, *columns: Ints) -> None:
        """More rows, column by column."""
        for column, values in zip(self._columns, columns, strict=True):
            column.frombytes(values.astype(column.typecode).tobytes())

    def view(self, place: int) -> NDArray[Any]:
        """One column as it is, without a copy."""
        column = self._columns[place]
        return np.frombuffer(column, dtype=column.typecode) if column else np.empty(0, column.typecode)

    def popped(self, place: int) -> NDArray[Any]:
        """One column; the table forgets it."""
        column = self.view(place)
        self._columns[place] = array("b")
        return column


class Gathering:
    """What a reader fills."""

    def __init__(self, *, nanoseconds: bool) -> None:
        """`nanoseconds`: times are whole ones; otherwise microseconds, with a fraction."""
        time, self._unit = ("q", 1) if nanoseconds else ("d", 1000)
        self.work = Table(time, "qiq")
        self.calls = Table(time, "q")
        self.operators = Table(time)
        self.ranges = Table(time)
        self.notes: list[str] = []
        self._names: dict[str, int] = {}
        self._read: dict[str, int] = {}  # as they stand in the file
        self._kernels: dict[str, int] = {}
        self._threads: dict[object, int] = {}
        self._thread_labels: list[str] = []
        self._streams: dict[object, int] = {}
        self._stream_labels: list[tuple[str, str]] = []

    def name(self, text: str | None) -> int:
        """Its place among the names."""
        found = self._read.get(text or "")
        if found is None:
            found = self._read[text or ""] = self._place(text or _NAMELESS, self._read)
        return found

    def kernel(self, text: str | None) -> int:
        """The place of a kernel's name, as a person reads it."""
        found = self._kernels.get(text or "")
        if found is None:
            found = self._kernels[text or ""] = self._place(shortened(text or "") or text or _NAMELESS, self._kernels)
        return found

    def _place(self, text: str, known: Mapping[str, int]) -> int:
        text = _TOO_MANY if len(known) > _NAMES else text
        text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"
        return self._names.setdefault(text, len(self._names))

    def thread(self, process: object, thread: object) -> int:
        """Its place among the threads."""
        key = (process, thread)
        found = self._threads.get(key)
        if found is None:
            found = self._threads[key] = len(self._threads)
            self._thread_labels.append(str(thread))
        return found

    def stream(self, device: object, stream: object, label: str | None = None) -> int:
        """Its place among the streams."""
        key = (device, stream)
        found = self._streams.get(key)
        if found is None:
            found = self._streams[key] = len(self._streams)
            self._stream_labels.append((f"cuda:{device}", label or str(stream)))
        return found

    def finished(
        self, tool: Tool, schema: str | None, sha256: str, devices: Mapping[str, str], notes: Iterable[str] = ()
    ) -> Trace:
        """All of it in order; what cannot be is left out, and counted."""
        tables = (self.work, self.calls, self.operators, self.ranges)
        middle = _middle([table.view(1) for table in tables])
        wrong = [0, 0]
        found = [self._in_order(table, middle, wrong) for table in tables]
        first = min((int(spans.start[0]) for spans, _ in found if len(spans)), default=0)
        for spans, _ in found:
            np.subtract(spans.start, first, out=spans.start)
            np.subtract(spans.end, first, out=spans.end)
        (work, work_order), (calls, calls_order), (operators, _), (ranges, _) = found
        return Trace(
            tool=tool,
            schema=schema,
            sha256=sha256,
            names=list(self._names),
            threads=self._thread_labels,
            streams=self._stream_labels,
            devices=dict(devices),
            work=Work(
                work,
                self.work.popped(4)[work_order],
                self.work.popped(5)[work_order],
                self.work.popped(6)[work_order],
            ),
            calls=Calls(calls, self.calls.popped(4)[calls_order]),
            operators=operators.taken(_outermost(operators, len(self._threads))),
            ranges=ranges,
            end=max((int(spans.end.max()) for spans, _ in found if len(spans)), default=0),
            notes=(*notes, *self.notes, *_left_out(*wrong)),
        )

    def _in_order(self, table: Table, middle: float, wrong: list[int]) -> tuple[Spans, Ints]:
        """What took no time less than none, and where it stood in the table. Column after column, to hold few."""
        start, length = table.popped(1), table.popped(2)
        near = np.abs(start.astype(np.float64) - float(middle)) * self._unit <= _FARTHEST
        near &= np.abs(length.astype(np.float64)) * self._unit <= _FARTHEST
        right = near & (length >= 0)
        wrong[0] += int(np.count_nonzero(near & ~right))
        wrong[1] += int(np.count_nonzero(~near))
        start = _whole(start[right] - middle, self._unit)
        end = start + _whole(length[right], self._unit)
        del length, near
        kept = np.flatnonzero(right)
        later = (start[1:] > start[:-1]) | ((start[1:] == start[:-1]) & (end[1:] <= end[:-1]))
        if not later.all():
            order = np.lexsort((-end, start))
            start, end, kept = start[order], end[order], kept[order]
        return Spans(table.popped(0)[kept], start, end, table.popped(3)[kept]), kept


def _middle(starts: Sequence[NDArray[Any]]) -> Any:
    """A moment within the trace, whatever single times may be."""
    for each in starts:
        usable = each[np.isfinite(each)]
        if len(usable):
            return np.partition(usable, len(usable) // 2)[len(usable) // 2]
    return 0


def _whole(times: NDArray[Any], unit: int) -> Ints:
    return times if unit == 1 else np.rint(times * unit).astype(np.int64)


def _outermost(operators: Spans, threads: int) -> NDArray[np.bool_]:
    """Those that began when no other of their thread ran."""
    found = np.ones(len(operators), dtype=np.bool_)
    for thread in range(threads):
        mine = np.flatnonzero(operators.lane == thread)
        if len(mine) > 1:
            until = np.maximum.accumulate(operators.end[mine])
            found[mine[1:]] = operators.start[mine[1:]] >= until[:-1]
    return found


def _left_out(negative: int, far: int) -> list[str]:
    notes: list[str] = []
    if negative:
        notes.append(f"{negative:,} things with a negative duration are left out.")
    if far:
        notes.append(f"{far:,} things with an impossible time are left out.")
    return notes
