"""What compiling a model takes, twice: with an empty cache on the disk, and with the one that this left.

    cold, warm = compile_cost("vit_b_16", 8, backend="compile-max-autotune", device="cuda:0")
    cold.ready_in, cold.graph_breaks, cold.recompiles, cold.break_even(eager_seconds, compiled_seconds)

Each is measured in a process of its own: in one that has compiled before, much is loaded and remembered already.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from pytest_gpuperf.errors import SessionError
from pytest_gpuperf.records.compile_cost import CompileCost
from pytest_gpuperf.scratch import scratch_folder
from pytest_gpuperf.sessions.process import last_lines, run_to_end

_CHILD = """
import sys
import msgspec
from pytest_gpuperf.backends import opened
from pytest_gpuperf.models import load

into, name, scale, batch, backend, precision, device = sys.argv[1:]
with opened(load(name, scale), int(batch), backend=backend, precision=precision, device=device) as network:
    cost = network.compile_cost
with open(into, "wb") as file:
    file.write(msgspec.json.encode(cost))
"""


def compile_cost(
    model: str,
    batch: int,
    *,
    backend: str = "compile",
    precision: str = "fp32",
    device: str = "cpu",
    scale: str = "full",
    timeout: float | None = None,
) -> tuple[CompileCost, CompileCost]:
    """Cold and warm. A process that fails, or takes longer than `timeout` seconds, is a SessionError."""
    words = (model, scale, str(batch), backend, precision, device)
    with scratch_folder("compile") as folder:
        # The first of both finds the folder empty.
        cold, warm = (_compiled(words, folder, timeout) for _ in range(2))
    return cold, warm


def _compiled(words: tuple[str, ...], folder: Path, timeout: float | None) -> CompileCost:
    into = folder / "cost.json"
    caches = {
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        "TRITON_CACHE_DIR": str(folder / "triton"),
        "TORCHINDUCTOR_FX_GRAPH_CACHE": "1",  # off by default before torch 2.5
    }
    command = [sys.executable, "-P", "-c", _CHILD, str(into), *words]
    code, text = run_to_end(command, folder, {**os.environ, **caches}, timeout=timeout)
    what = f"took longer than {timeout:.0f} s and was stopped" if code is None else f"ended with exit code {code}"
    if code != 0:
        raise SessionError(f"The process that compiles {' '.join(words)} {what}. Its last lines:\n{last_lines(text)}")
    cost = msgspec.json.decode(into.read_bytes(), type=CompileCost | None)
    if cost is None:
        raise SessionError(
            f"The back end {words[3]} does not use torch.compile, so there is nothing that it would cost."
        )
    return cost
