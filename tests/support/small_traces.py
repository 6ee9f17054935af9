"""Small traces as torch.profiler and nsys write them: each step launches a product and a copy, and then waits."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path

GEMM, COPY = "ampere_sgemm_128x64_tn", "Memcpy HtoD (Pinned -> Device)"


def chrome_trace(
    path: Path, *, steps: int = 8, gemm: float = 600.0, wait: float = 200.0, card: str = "NVIDIA L40S"
) -> Path:
    """Times are microseconds: of the product, and of what the host does before the next step."""
    events: list[dict[str, object]] = []
    start, correlation = 1000.0, 1
    for number in range(steps):
        first = start
        for name, length, category in ((COPY, 100.0, "gpu_memcpy"), (GEMM, gemm, "kernel")):
            call = "cudaMemcpyAsync" if category == "gpu_memcpy" else "cudaLaunchKernel"
            events += [
                _event("cuda_runtime", call, 1, 1, start, 5.0, correlation=correlation),
                _event(
                    category, name, 0, 7, start + 10, length, correlation=correlation, device=0, stream=7, bytes=1 << 20
                ),
            ]
            start += 10 + length
            correlation += 1
        events.append(_event("cpu_op", "aten::nonzero", 1, 1, start, wait))
        start += wait
        events.append(_event("user_annotation", f"ProfilerStep#{number}", 1, 1, first, start - first))
    content = {"schemaVersion": 1, "deviceProperties": [{"id": 0, "name": card}], "traceEvents": events}
    raw = json.dumps(content).encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def _event(
    category: str, name: str, pid: int, tid: int, start: float, length: float, **arguments: object
) -> dict[str, object]:
    return {
        "ph": "X",
        "cat": category,
        "name": name,
        "pid": pid,
        "tid": tid,
        "ts": start,
        "dur": length,
        "args": arguments,
    }


_TABLES = """
create table META_DATA_EXPORT (name text, value text);
create table StringIds (id integer, value text);
create table TARGET_INFO_GPU (id integer, name text);
create table CUPTI_ACTIVITY_KIND_KERNEL (
    start int, end int, deviceId int, streamId int, correlationId int, globalPid int, demangledName int);
create table CUPTI_ACTIVITY_KIND_RUNTIME (start int, end int, globalTid int, correlationId int, nameId int);
create table NVTX_EVENTS (start int, end int, eventType int, text text, globalTid int);
insert into META_DATA_EXPORT values ("EXPORT_SCHEMA_VERSION", "3.11.0");
insert into StringIds values (1, "ampere_sgemm_128x64_tn"), (2, "cudaLaunchKernel_v7000");
insert into TARGET_INFO_GPU values (0, "NVIDIA L40S");
"""


def nsight_export(path: Path, *, steps: int = 8) -> Path:
    """As `nsys export --type=sqlite` makes it: a kernel of 600 us in each step, and 200 us of nothing after it."""
    thread = 1 << 24
    with closing(sqlite3.connect(path)) as export, export:
        export.executescript(_TABLES)
        for number in range(steps):
            start = number * 810_000
            row = (start + 10_000, start + 610_000, 0, 7, number + 1, thread, 1)
            export.execute("insert into CUPTI_ACTIVITY_KIND_KERNEL values (?, ?, ?, ?, ?, ?, ?)", row)
            call = (start, start + 5_000, thread, number + 1, 2)
            export.execute("insert into CUPTI_ACTIVITY_KIND_RUNTIME values (?, ?, ?, ?, ?)", call)
            mark = (start, start + 810_000, 59, f"step {number}", thread)
            export.execute("insert into NVTX_EVENTS values (?, ?, ?, ?, ?)", mark)
    return path
