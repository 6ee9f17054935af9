"""Loops of known truth as traces: each step launches a copy and a product, and then the host does something else."""

from __future__ import annotations

import gzip
from contextlib import closing
from pathlib import Path

from made_traces import HEAD, Chrome, Nsight

GEMM = "ampere_sgemm_128x64_tn"
COPY, LAUNCHED = 100.0, 10.0  # microseconds: of each copy, and from a call to what it launched


def chrome_loop(
    path: Path, *, steps: int = 8, gemm: float = 600.0, wait: float = 200.0, card: str | None = None
) -> Path:
    """Of torch.profiler. Times are microseconds: of each product, and of what the host does after it."""
    trace, at, correlation = Chrome(), 1000.0, 1
    for number in range(steps):
        first = at
        trace.call("cudaMemcpyAsync", at, 5, correlation=correlation)
        trace.copy(at + LAUNCHED, COPY, correlation=correlation)
        at += LAUNCHED + COPY
        trace.launch(at, correlation=correlation + 1)
        trace.kernel(at + LAUNCHED, gemm, correlation=correlation + 1, name=GEMM)
        at += LAUNCHED + gemm
        trace.operator("aten::nonzero", at, wait)
        at += wait
        trace.range(f"ProfilerStep#{number}", first, at - first)
        correlation += 2
    head = {} if card is None else {"deviceProperties": [{**HEAD["deviceProperties"][0], "name": card}]}
    raw = trace.text(**head).encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def nsight_loop(path: Path, *, steps: int = 8) -> Path:
    """An export of nsys: a product of 600 us in each step of 810 us."""
    trace = Nsight(path)
    with closing(trace.database), trace.database:
        for number in range(steps):
            at = 810.0 * number
            trace.call("cudaLaunchKernel", at, 5, correlation=number + 1)
            trace.kernel(at + LAUNCHED, 600, correlation=number + 1, name=GEMM)
            trace.range(f"step {number}", at, 810)
    return path
