"""What SQLite exports of Nsight Systems hold, whichever columns their version has, row after row."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pytest_gpuperf.traces.activities import COPY, FILL, KERNEL, NO_BYTES, NO_CORRELATION, Ints, Trace
from pytest_gpuperf.traces.export import Export, opened
from pytest_gpuperf.traces.gathering import Gathering
from pytest_gpuperf.traces.unpacked import Say

_KERNELS, _COPIES, _FILLS, _GRAPHS, _CALLS = (
    f"CUPTI_ACTIVITY_KIND_{kind}" for kind in ("KERNEL", "MEMCPY", "MEMSET", "GRAPH_TRACE", "RUNTIME")
)
_RANGES = "NVTX_EVENTS"
_KERNEL_NAMES = ("demangledName", "shortName", "mangledName")
_NOTHING = -1
# By their numbers, as NVIDIA's documentation of the export lists them; 11 to 13 are of unified memory.
_DIRECTIONS = (
    *("HtoD", "DtoH", "HtoA", "AtoH", "AtoA", "AtoD", "DtoA", "DtoD", "HtoH", "PtoP"),
    *("HtoD", "DtoH", "DtoD"),
)
_MEMORIES = ("Pageable", "Pinned", "Device", "Array", "Managed", "Device Static", "Managed Static")


def read_nsight(path: Path, say: Say | None = None) -> Trace:
    """Kernels, copies, fills, calls and NVTX ranges."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    gathering = Gathering(nanoseconds=True)
    with opened(path, say) as export:
        cards = _Cards(export)
        for table, kind in ((_KERNELS, KERNEL), (_COPIES, COPY), (_FILLS, FILL), (_GRAPHS, KERNEL)):
            if export.has(table):
                _take_work(export, table, kind, gathering, cards)
        if export.has(_CALLS):
            _take_calls(export, gathering)
        if export.has(_RANGES):
            _take_ranges(export, gathering)
        notes = _notes(export)
    return gathering.finished("Nsight Systems", export.schema, sha256, cards.names, notes)


def _notes(export: Export) -> list[str]:
    notes: list[str] = []
    if export.schema is None:
        notes.append("This export does not name the version of its schema: it is of an old nsys.")
    if export.values(_GRAPHS, "start"):
        notes.append(
            "CUDA graphs were recorded as a whole: each counts as one kernel that never waits. "
            "nsys profile --cuda-graph-trace=node records what runs in them."
        )
    return notes


class _Cards:
    """Which card a process means by a number: CUDA_VISIBLE_DEVICES gives each process its own numbers."""

    def __init__(self, export: Export) -> None:
        """As far as the export knows."""
        known = export.values("TARGET_INFO_CUDA_DEVICE", "pid", "cudaId", "gpuId")
        self._cards = {(process, number): card for process, number, card in known}
        self.names = {
            f"cuda:{card}": str(name) for card, name in export.values("TARGET_INFO_GPU", "id", "name") if name
        }

    def card(self, process: int, number: int) -> int:
        """Its number on the machine."""
        return self._cards.get((process, number), number)


def _process(identifier: Any) -> Any:
    """The system's number of a process, out of nsys's for it or for one of its threads."""
    return identifier >> 24 & 0xFFFFFF


def _correlation(export: Export, identifier: Ints, number: Ints) -> Ints:
    """Each process counts for itself; in old exports, which do not name a kernel's process, there is only one."""
    process = _process(identifier) if export.has(_KERNELS, "globalPid") else 0
    return np.where(number <= 0, NO_CORRELATION, process << 32 | number & 0xFFFFFFFF)


def _placed(columns: Sequence[Ints], place: Callable[..., int]) -> Ints:
    """The place of what stands in each row of some columns. Few rows differ: each kind is asked for once."""
    kind = np.zeros(len(columns[0]) if columns else 1, dtype=np.int64)
    for column in columns:
        values, at = np.unique(column, return_inverse=True)
        kind = np.unique(kind * len(values) + at, return_inverse=True)[1]
    first = np.unique(kind, return_index=True)[1]
    return np.array([place(*(int(column[row]) for column in columns)) for row in first], dtype=np.int64)[kind]


def _take_work(export: Export, table: str, kind: int, gathering: Gathering, cards: _Cards) -> None:
    naming = _naming(export, table, gathering)
    numbers = [export.number(table, column) for column in ("deviceId", "streamId", "correlationId", "globalPid")]

    def lane(identifier: int, device: int, stream: int) -> int:
        process = _process(identifier)
        return gathering.stream(cards.card(process, device), (process, stream), str(stream))

    for rows in export.rows(table, [*numbers, export.number(table, "bytes", NO_BYTES), *naming.columns]):
        start, length, device, stream, number, identifier, count, *cells = np.array(rows, dtype=np.int64).T
        lanes = _placed((identifier, device, stream), lane)
        names = np.broadcast_to(_placed(cells, naming.place), start.shape)
        correlation = _correlation(export, identifier, number)
        gathering.work.extend_columns(lanes, start, length, names, correlation, np.full_like(start, kind), count)


@dataclass(frozen=True, slots=True)
class _Naming:
    """What a table's rows are called: the columns that say it, and the name's place for what stands in them."""

    columns: Sequence[str]
    place: Callable[..., int]


def _naming(export: Export, table: str, gathering: Gathering) -> _Naming:
    if table == _KERNELS:
        return _kernel_naming(export, gathering)
    if table == _COPIES:
        columns = [export.number(table, column, _NOTHING) for column in ("copyKind", "srcKind", "dstKind")]
        return _Naming(columns, lambda *kinds: gathering.name(_copy(*kinds)))
    if table == _FILLS:
        return _Naming((), lambda: gathering.name("Memset (Device)"))
    return _Naming([export.number(table, "graphId")], lambda *ids: gathering.name(f"CUDA graph {ids[0]}"))


def _kernel_naming(export: Export, gathering: Gathering) -> _Naming:
    """By the first of the columns in which the kernel has a name."""
    columns = [column for column in _KERNEL_NAMES if export.has(_KERNELS, column)]
    if not columns:
        raise export.unknown(_KERNELS, _KERNEL_NAMES[:2])
    texts = [export.texts(_KERNELS, column, gathering.kernel) for column in columns]

    def place(*keys: int) -> int:
        found = (known[key] for known, key in zip(texts, keys, strict=True) if key in known)
        return next(found, gathering.kernel(None))

    return _Naming([export.number(_KERNELS, column, _NOTHING) for column in columns], place)


def _copy(kind: int, source: int, target: int) -> str:
    """As torch calls it: ``Memcpy HtoD (Pageable -> Device)``."""
    direction = _DIRECTIONS[kind - 1] if 0 < kind <= len(_DIRECTIONS) else "of an unknown kind"
    ends = [_MEMORIES[memory] if 0 <= memory < len(_MEMORIES) else "Unknown" for memory in (source, target)]
    return f"Memcpy {direction} ({ends[0]} -> {ends[1]})"


def _take_calls(export: Export, gathering: Gathering) -> None:
    texts = export.texts(_CALLS, "nameId", gathering.name)
    nameless = gathering.name(None)
    numbers = [export.number(_CALLS, column) for column in ("globalTid", "correlationId", "nameId")]

    def named(key: int) -> int:
        return texts.get(key, nameless)

    for rows in export.rows(_CALLS, numbers):
        start, length, identifier, number, name = np.array(rows, dtype=np.int64).T
        gathering.calls.extend_columns(
            _placed((identifier,), partial(_thread, gathering)),
            start,
            length,
            _placed((name,), named),
            _correlation(export, identifier, number),
        )


def _take_ranges(export: Export, gathering: Gathering) -> None:
    """Marks have no end, and are no ranges. A text stands in the row, or among the strings."""
    texts = export.texts(_RANGES, "textId", gathering.name)
    columns = [export.number(_RANGES, "globalTid"), export.number(_RANGES, "textId", _NOTHING)]
    columns.append("text" if export.has(_RANGES, "text") else "null")
    for rows in export.rows(_RANGES, columns):
        found: list[tuple[Any, ...]] = []
        for start, length, identifier, key, text in rows:
            name = texts.get(key, gathering.name(None)) if text is None else gathering.name(str(text))
            found.append((_thread(gathering, identifier), start, length, name))
        gathering.ranges.extend(found)


def _thread(gathering: Gathering, identifier: int) -> int:
    return gathering.thread(_process(identifier), identifier & 0xFFFFFF)
