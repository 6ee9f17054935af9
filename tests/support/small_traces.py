"""Small traces as torch.profiler writes them: each step launches a product and a copy, and then waits."""

from __future__ import annotations

import gzip
import json
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
