"""What reading a trace costs: megabytes a second and memory, beside `json.load`, and HTA where it is installed.

    python benchmarks/trace_reading.py [MEGABYTES ...]

Traces as torch.profiler writes them, of an eager model on a GPU: operators within each other, launches, kernels with
long names, copies, a wait a step. Each is read in a fresh process; the memory is that process's highest (VmHWM),
interpreter and numpy included. MB/s are those of the processor's time, imports included: other programs on the machine
make the seconds longer. `json.load` needs about five times the size of the file: it is left out where the
machine has less. Then the same trace as .json.gz, and an SQLite export of that size.
"""

from __future__ import annotations

import gzip
import importlib.util
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pytest_gpuperf.scratch import scratch_folder

SIZES = (10, 100, 1000)
MANY = 600  # megabytes that json.load needs for 100 of the file, and some room; where less is free it is left out
OURS = "from pytest_gpuperf.traces.analyse import analyse; a = analyse(Path(sys.argv[1])); a.timeline()"
JSON = "import json, gzip; o = gzip.open if sys.argv[1].endswith('gz') else open; json.load(o(sys.argv[1], 'rt'))"
HTA = (
    "from hta.trace_analysis import TraceAnalysis as T; t = T(trace_files={0: sys.argv[1]}); "
    "t.get_temporal_breakdown(visualize=False)"
)
AROUND = """
import sys, time
from pathlib import Path
started, used = time.perf_counter(), time.process_time()
{}
took, used = time.perf_counter() - started, time.process_time() - used
high = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(took, used, int(high.split()[1]) * 1024)
"""
KERNEL = (
    "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<c10::BFloat16>, "
    "std::array<char*, {}ul> >(int, at::native::CUDAFunctor_add<c10::BFloat16>, std::array<char*, 3ul>)"
)


def event(category: str, name: str, pid: int, tid: int, start: float, length: float, arguments: str) -> str:
    """One event, with the spaces that torch writes."""
    return (
        f'\n  {{\n    "ph": "X", "cat": "{category}", "name": "{name}", "pid": {pid}, "tid": {tid},\n'
        f'    "ts": {start:.3f}, "dur": {length:.3f},\n    "args": {{\n      {arguments}\n    }}\n  }},'
    )


def layer(number: int, at: float) -> Iterator[str]:
    """One operator: three within each other, the launch, the kernel, and the arrows between them."""
    for depth, name in enumerate(("aten::linear", "aten::addmm", "aten::add")):
        yield event(
            "cpu_op", name, 4711, 4711, at + depth, 20 - 2 * depth, f'"External id": {number}, "Ev Idx": {number}'
        )
    yield event("cuda_runtime", "cudaLaunchKernel", 4711, 4711, at + 6, 5, f'"cbid": 211, "correlation": {number}')
    arrow = '"cat": "ac2g", "name": "ac2g"'
    yield f'\n  {{\n    "ph": "s", "id": {number}, "pid": 4711, "tid": 4711, "ts": {at + 6:.3f}, {arrow}\n  }},'
    yield f'\n  {{\n    "ph": "f", "id": {number}, "pid": 0, "tid": 7, "ts": {at + 12:.3f}, {arrow}, "bp": "e"\n  }},'
    yield event(
        "kernel",
        KERNEL.format(number % 40),
        0,
        7,
        at + 12,
        14 + number % 5,
        f'"External id": {number}, "queued": 0, "device": 0, "context": 1, "stream": 7, "correlation": {number}, '
        '"registers per thread": 32, "shared memory": 0, "blocks per SM": 12.962963, "warps per SM": 51.851852, '
        '"grid": [1400, 1, 1], "block": [128, 1, 1], "est. achieved occupancy %": 100',
    )


def write(path: Path, megabytes: int) -> None:
    """A trace of that size."""
    written, number, at = 0, 1, 5e12
    with path.open("w") as file:
        file.write('{\n  "schemaVersion": 1,\n  "deviceProperties": [{"id": 0, "name": "NVIDIA L40S"}],\n')
        file.write('  "traceEvents": [')
        while written < megabytes * 1e6:
            text = "".join(part for step in range(1000) for part in layer(number + step, at + 22 * step))
            text += event("cuda_runtime", "cudaDeviceSynchronize", 4711, 4711, at + 21_990, 40, '"correlation": 0')
            written += file.write(text)
            number, at = number + 1000, at + 22_100
        file.write('\n  {"ph": "M", "name": "process_name", "pid": 0, "ts": 0, "args": {}}\n],\n"traceName": "made"}\n')


def export(path: Path, megabytes: int) -> None:
    """The same as an export of Nsight Systems: a row a kernel and a row a call, with the columns that it has."""
    numbers = (
        "contextId greenContextId launchType cacheConfig registersPerThread gridX gridY gridZ blockX blockY blockZ"
    )
    columns = ("start", "end", "deviceId", "streamId", "correlationId", "globalPid", "demangledName", "shortName")
    kernel = (*columns, *numbers.split(), "staticSharedMemory", "dynamicSharedMemory", "graphNodeId")
    call = ("start", "end", "eventClass", "globalTid", "correlationId", "nameId", "returnValue", "callchainId")
    listed = {"KERNEL": kernel, "RUNTIME": call}
    with closing(sqlite3.connect(path)) as database:
        database.execute("create table StringIds (id INTEGER PRIMARY KEY, value TEXT)")
        database.execute("create table META_DATA_EXPORT (name TEXT, value TEXT)")
        database.execute("insert into META_DATA_EXPORT values ('EXPORT_SCHEMA_VERSION', '3.11.7')")
        database.executemany("insert into StringIds values (?, ?)", [(n + 1, KERNEL.format(n)) for n in range(40)])
        database.execute("insert into StringIds values (99, 'cudaLaunchKernel_v7000')")
        for table, names in listed.items():
            typed = ", ".join(f'"{name}" INTEGER' for name in names)
            database.execute(f"create table CUPTI_ACTIVITY_KIND_{table} ({typed})")
        number, process = 0, 4711 << 24
        launched = (1, 0, 1, 0, 32, 1400, 1, 1, 128, 1, 1, 0, 0, None)
        while path.stat().st_size < megabytes * 1e6:
            numbers = range(number, number + 20_000)
            rows = {
                "KERNEL": (
                    (22_000 * n, 22_000 * n + 14_000, 0, 7, n + 1, process, n % 40 + 1, n % 40 + 1, *launched)
                    for n in numbers
                ),
                "RUNTIME": (
                    (22_000 * n - 6000, 22_000 * n - 1000, 0, process | 4711, n + 1, 99, 0, None) for n in numbers
                ),
            }
            for table, values in rows.items():
                marks = ", ".join("?" * len(listed[table]))
                database.executemany(f"insert into CUPTI_ACTIVITY_KIND_{table} values ({marks})", values)
            database.commit()
            number += 20_000


def measured(code: str, path: Path) -> list[float]:
    """Seconds, seconds of the processor, and bytes of a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", AROUND.format(code), str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    return [float(figure) for figure in done.stdout.split()[-3:]]


def main() -> None:
    """Print a row a reader and a file."""
    readers = {"gpuperf": OURS, "json.load": JSON}
    if importlib.util.find_spec("hta") is not None:
        readers["HTA"] = HTA
    room = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    print(f"{'file':>12} {'reader':>10} {'seconds':>8} {'of CPU':>8} {'MB/s of CPU':>12} {'peak MB':>8}", flush=True)
    with scratch_folder("traces") as folder:
        for size in [int(a) for a in sys.argv[1:]] or SIZES:
            plain = folder / f"{size}.json"
            write(plain, size)
            packed = plain.with_suffix(".json.gz")
            with plain.open("rb") as source, gzip.open(packed, "wb", 6) as target:
                shutil.copyfileobj(source, target)
            for path in (plain, packed):
                for reader, code in readers.items():
                    if reader != "gpuperf" and size / 100 * MANY * 1e6 > room:
                        continue
                    seconds, used, high = measured(code, path)
                    print(
                        f"{path.name:>12} {reader:>10} {seconds:>8.2f} {used:>8.2f} {size / used:>12.0f} "
                        f"{high / 1e6:>8.0f}",
                        flush=True,
                    )
            exported = folder / f"{size}.sqlite"
            export(exported, size)
            seconds, used, high = measured(OURS, exported)
            figures = f"{seconds:>8.2f} {used:>8.2f} {size / used:>12.0f} {high / 1e6:>8.0f}"
            print(f"{exported.name:>12} {'gpuperf':>10} {figures}", flush=True)
            for path in (plain, packed, exported):
                path.unlink()


if __name__ == "__main__":
    main()
