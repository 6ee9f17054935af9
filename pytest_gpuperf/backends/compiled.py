"""torch.compile, in its modes."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import os
import shutil
import warnings
from dataclasses import dataclass
from importlib import import_module, util
from time import perf_counter

import torch

from pytest_gpuperf.backends.backend import Job, Made
from pytest_gpuperf.backends.precisions import lower
from pytest_gpuperf.traces.compiler import compiler_counts

_WARM_CALLS = 3  # "reduce-overhead" records its graph on the second call and replays it from the third on


@dataclass(frozen=True, slots=True)
class Compiled:
    """``torch.compile`` with inductor; compiled for the job's batch size."""

    name: str
    mode: str

    def lacks(self, device: torch.device) -> str | None:
        """A compiler: triton for CUDA, one of C++ for the processor."""
        if device.type == "cuda":  # pragma: no cover - needs a GPU
            if util.find_spec("triton") is not None:
                return None
            return f"{self.name} needs triton, which is not installed. Install it with: pip install triton"
        if shutil.which(os.environ.get("CXX", "g++")) is not None:
            return None
        return f"{self.name} needs a C++ compiler, and none was found. Install one: apt install g++ (or set CXX)"

    def make(self, job: Job) -> Made:
        """Compile now: the time to compile is measured apart from the time of a call."""
        import_module("torch._inductor.compile_fx")  # seconds, once a process: no case's own cost
        torch.compiler.reset()  # forget the cases before this one: limits on recompiling add up over a process
        module = lower(job.module, job.precision, job.device)
        before, start = compiler_counts(), perf_counter()
        compiled = torch.compile(module, mode=self.mode, dynamic=False)
        with torch.inference_mode(), warnings.catch_warnings():  # as it will be called: compiled code is guarded by it
            # inductor warns of what the precision has chosen; under ``-W error`` no model could be compiled.
            warnings.filterwarnings("ignore", "TensorFloat32 tensor cores", UserWarning)
            for _ in range(_WARM_CALLS):
                compiled(*job.inputs)
            if job.device.type == "cuda":  # pragma: no cover - needs a GPU
                torch.cuda.synchronize(job.device)
        cost = compiler_counts().since(before).cost(perf_counter() - start)
        return Made(compiled, close=_forget, compile_cost=cost)


def _forget() -> None:
    """Give back what "reduce-overhead" captured: its graphs' memory would be the next case's burden."""
    torch.compiler.reset()
    torch.cuda.empty_cache()  # does nothing where CUDA is not in use
