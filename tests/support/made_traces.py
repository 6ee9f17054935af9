"""Traces of known truth, as torch.profiler and Nsight Systems write them. Times are microseconds in both."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from pytest_gpuperf.records.trace_analysis import TraceAnalysis
from pytest_gpuperf.traces.analyse import analyse

PROCESS = 4711
HEAD = {
    "schemaVersion": 1,
    "deviceProperties": [
        {"id": 0, "name": "NVIDIA A100-PG509-200", "totalGlobalMem": 42297524224, "computeMajor": 8, "numSms": 108},
        {"id": 1, "name": "NVIDIA A100-PG509-200", "totalGlobalMem": 42297524224, "computeMajor": 8, "numSms": 108},
    ],
}


class Chrome:
    """Events, with the fields that torch gives them."""

    def __init__(self) -> None:
        """None yet."""
        self.events: list[dict[str, Any]] = []

    def add(self, category: str, name: str, pid: Any, tid: Any, start: float, length: float, **arguments: Any) -> None:
        """A complete event."""
        self.events.append(
            {"ph": "X", "cat": category, "name": name, "pid": pid, "tid": tid, "ts": start, "dur": length}
            | {"args": {key.replace("_", " "): value for key, value in arguments.items()}}
        )

    def kernel(
        self, start: float, length: float, *, correlation: Any = 0, name: str = "gemm", stream: int = 7, device: int = 0
    ):
        """A kernel on the device."""
        more = {"correlation": correlation} if correlation else {}
        self.add("kernel", name, device, stream, start, length, device=device, context=1, stream=stream, **more)

    def copy(
        self,
        start: float,
        length: float,
        *,
        correlation: int = 0,
        name: str = "Memcpy HtoD (Pinned -> Device)",
        stream: int = 7,
        size: int | None = 1000,
    ):
        """A copy, or a fill."""
        more: dict[str, Any] = ({"correlation": correlation} if correlation else {}) | (
            {} if size is None else {"bytes": size}
        )
        category = "gpu_memset" if name.startswith("Memset") else "gpu_memcpy"
        self.add(category, name, 0, stream, start, length, device=0, context=1, stream=stream, **more)

    def call(self, name: str, start: float, length: float, *, correlation: int = 0, thread: int = PROCESS):
        """What the host asked of CUDA's runtime."""
        self.add(
            "cuda_runtime",
            name,
            PROCESS,
            thread,
            start,
            length,
            cbid=211,
            **({"correlation": correlation} if correlation else {}),
        )

    def launch(self, at: float, *, correlation: int, length: float = 5, thread: int = PROCESS):
        """The call that launched something."""
        self.call("cudaLaunchKernel", at, length, correlation=correlation, thread=thread)

    def operator(self, name: str, start: float, length: float, thread: int = PROCESS):
        """One of torch's."""
        self.add("cpu_op", name, PROCESS, thread, start, length)

    def range(self, name: str, start: float, length: float, thread: int = PROCESS):
        """What the program marked."""
        self.add("user_annotation", name, PROCESS, thread, start, length)

    def text(self, **head: Any) -> str:
        """The file."""
        arrows = [{"ph": "s", "id": 1, "pid": 1, "tid": 1, "ts": 0.5, "cat": "ac2g", "name": "ac2g"}]
        named = [{"ph": "M", "name": "process_name", "pid": PROCESS, "tid": 0, "ts": 1.0, "args": {"name": "python"}}]
        return json.dumps(HEAD | head | {"traceEvents": [*self.events, *arrows, *named], "traceName": "t"}, indent=2)

    def analysed(self, folder: Path, **head: Any) -> TraceAnalysis:
        """What gpuperf finds in it."""
        path = folder / "trace.json"
        path.write_text(self.text(**head))
        return analyse(path).analysis


TABLES = {
    "3.11.7": """
        create table StringIds (id INTEGER NOT NULL PRIMARY KEY, value TEXT NOT NULL);
        create table META_DATA_EXPORT (name TEXT NOT NULL, value TEXT);
        create table TARGET_INFO_GPU (vmId INTEGER, id INTEGER, name TEXT, totalMemory INTEGER, smCount INTEGER);
        create table TARGET_INFO_CUDA_DEVICE (gpuId INTEGER, cudaId INTEGER, pid INTEGER, uuid TEXT);
        create table CUPTI_ACTIVITY_KIND_KERNEL (start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER,
            contextId INTEGER, greenContextId INTEGER, streamId INTEGER, correlationId INTEGER, globalPid INTEGER,
            demangledName INTEGER, shortName INTEGER, mangledName INTEGER, graphNodeId INTEGER);
        create table CUPTI_ACTIVITY_KIND_MEMCPY (start INTEGER, end INTEGER, deviceId INTEGER, streamId INTEGER,
            correlationId INTEGER, globalPid INTEGER, bytes INTEGER, copyKind INTEGER, srcKind INTEGER,
            dstKind INTEGER);
        create table CUPTI_ACTIVITY_KIND_MEMSET (start INTEGER, end INTEGER, deviceId INTEGER, streamId INTEGER,
            correlationId INTEGER, globalPid INTEGER, value INTEGER, bytes INTEGER, memKind INTEGER);
        create table CUPTI_ACTIVITY_KIND_RUNTIME (start INTEGER, end INTEGER, eventClass INTEGER, globalTid INTEGER,
            correlationId INTEGER, nameId INTEGER, returnValue INTEGER);
        create table NVTX_EVENTS (start INTEGER NOT NULL, end INTEGER, eventType INTEGER, text TEXT,
            globalTid INTEGER, textId INTEGER, domainId INTEGER);
    """,
    # Of 2021: no green contexts, no mangled names, marks without a text's id.
    "2.7.1": """
        create table StringIds (id INTEGER NOT NULL PRIMARY KEY, value TEXT NOT NULL);
        create table META_DATA_EXPORT (name TEXT NOT NULL, value TEXT);
        create table TARGET_INFO_GPU (id INTEGER, name TEXT);
        create table CUPTI_ACTIVITY_KIND_KERNEL (start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER,
            contextId INTEGER, streamId INTEGER, correlationId INTEGER, globalPid INTEGER, demangledName INTEGER,
            shortName INTEGER);
        create table CUPTI_ACTIVITY_KIND_MEMCPY (start INTEGER, end INTEGER, deviceId INTEGER, streamId INTEGER,
            correlationId INTEGER, globalPid INTEGER, bytes INTEGER, copyKind INTEGER, srcKind INTEGER,
            dstKind INTEGER);
        create table CUPTI_ACTIVITY_KIND_MEMSET (start INTEGER, end INTEGER, deviceId INTEGER, streamId INTEGER,
            correlationId INTEGER, globalPid INTEGER, bytes INTEGER);
        create table CUPTI_ACTIVITY_KIND_RUNTIME (start INTEGER, end INTEGER, eventClass INTEGER, globalTid INTEGER,
            correlationId INTEGER, nameId INTEGER);
        create table NVTX_EVENTS (start INTEGER NOT NULL, end INTEGER, eventType INTEGER, text TEXT,
            globalTid INTEGER);
    """,
    # Of 2019: no version, no process beside a kernel.
    None: """
        create table StringIds (id INTEGER NOT NULL, value TEXT NOT NULL);
        create table CUPTI_ACTIVITY_KIND_KERNEL (start INT NOT NULL, end INT NOT NULL, deviceId INT, contextId INT,
            streamId INT, correlationId INT, demangledName INT, shortName INT);
        create table CUPTI_ACTIVITY_KIND_MEMCPY (start INT, end INT, deviceId INT, streamId INT, correlationId INT,
            bytes INT, copyKind INT, srcKind INT, dstKind INT);
        create table CUPTI_ACTIVITY_KIND_MEMSET (start INT, end INT, deviceId INT, streamId INT, correlationId INT,
            bytes INT);
        create table CUPTI_ACTIVITY_KIND_RUNTIME (start INT, end INT, globalTid INT, correlationId INT, nameId INT);
        create table NVTX_EVENTS (start INT NOT NULL, end INT, eventType INT, text TEXT, globalTid INT);
    """,
}


class Nsight:
    """An export, with the tables and columns of a version."""

    def __init__(self, path: Path, schema: str | None = "3.11.7") -> None:
        """The tables, without rows."""
        self.path = path
        self.database = sqlite3.connect(path)
        self.database.executescript(TABLES[schema])
        self._strings: dict[str, int] = {}
        if schema is not None:
            self.row("META_DATA_EXPORT", name="EXPORT_SCHEMA_VERSION", value=schema)

    def row(self, table: str, **cells: Any) -> None:
        """As many of the cells as the table has columns for."""
        known: set[str] = {row[1] for row in self.database.execute(f"pragma table_info({table})")}
        cells = {column: cell for column, cell in cells.items() if column in known}
        if not known:  # a version without this table
            return
        columns, marks = ", ".join(f'"{c}"' for c in cells), ", ".join("?" * len(cells))
        self.database.execute(f"insert into {table} ({columns}) values ({marks})", list(cells.values()))

    def string(self, text: str) -> int:
        """Its id."""
        if text not in self._strings:
            self._strings[text] = len(self._strings) + 1
            self.row("StringIds", id=self._strings[text], value=text)
        return self._strings[text]

    def activity(
        self, kind: str, start: float, length: float, *, correlation: int, process: int = PROCESS, **cells: Any
    ) -> None:
        """A kernel, a copy or a fill."""
        cells = {"deviceId": 0, "streamId": 7, "globalPid": process << 24} | cells
        times = {"start": round(start * 1000), "end": round((start + length) * 1000)}
        self.row(f"CUPTI_ACTIVITY_KIND_{kind}", **times, correlationId=correlation, **cells)

    def kernel(self, start: float, length: float, *, correlation: int = 0, name: str = "gemm", **cells: Any) -> None:
        """A kernel."""
        names = {"demangledName": self.string(name), "shortName": self.string(name[:4])}
        self.activity("KERNEL", start, length, correlation=correlation, **(names | cells))

    def copy(
        self, start: float, length: float, *, correlation: int = 0, ends: tuple[int, int] = (0, 2), **cells: Any
    ) -> None:
        """A copy, from the host to the device."""
        kinds = {"copyKind": 1, "srcKind": ends[0], "dstKind": ends[1], "bytes": 1000}
        self.activity("MEMCPY", start, length, correlation=correlation, **(kinds | cells))

    def call(self, name: str, start: float, length: float, *, correlation: int = 0, process: int = PROCESS) -> None:
        """What the host asked of CUDA."""
        times = {"start": round(start * 1000), "end": round((start + length) * 1000)}
        thread, named = process << 24 | process, self.string(name)
        self.row("CUPTI_ACTIVITY_KIND_RUNTIME", **times, globalTid=thread, correlationId=correlation, nameId=named)

    def range(self, name: str, start: float, length: float | None, **cells: Any) -> None:
        """An NVTX range; a mark, without a length."""
        end = None if length is None else round((start + length) * 1000)
        thread = PROCESS << 24 | PROCESS
        self.row(
            "NVTX_EVENTS",
            start=round(start * 1000),
            end=end,
            eventType=59,
            **({"text": name, "globalTid": thread} | cells),
        )

    def analysed(self) -> TraceAnalysis:
        """What gpuperf finds in it."""
        self.database.commit()
        self.database.close()
        return analyse(self.path).analysis
