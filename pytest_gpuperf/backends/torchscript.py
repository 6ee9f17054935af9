"""A TorchScript trace, frozen and optimised."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch

from pytest_gpuperf.backends.backend import Job, Made
from pytest_gpuperf.backends.precisions import lower

_WARM_CALLS = 3  # the profiling executor watches two calls before it compiles what it saw


class TorchScript:
    """``torch.jit.trace`` and ``optimize_for_inference``."""

    name = "torchscript"

    def lacks(self, device: torch.device) -> str | None:  # noqa: ARG002 - it is a part of torch
        """Nothing."""
        return None

    def make(self, job: Job) -> Made:
        """Trace on the job's own inputs: a trace is of one batch size."""
        module = lower(job.module, job.precision, job.device)
        with _expected_warnings(), torch.no_grad():
            # Parity checks whether the trace computes the same, on more inputs than the tracer would.
            traced: Any = torch.jit.trace(module, job.inputs, check_trace=False)
            optimised = torch.jit.optimize_for_inference(torch.jit.freeze(traced.eval()))
            for _ in range(_WARM_CALLS):
                optimised(*job.inputs)
        return Made(optimised)


@contextmanager
def _expected_warnings() -> Generator[None]:
    """Who asks for this back end knows that TorchScript is deprecated, and that a trace follows one path."""
    jit: Any = torch.jit
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", FutureWarning)
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", category=jit.TracerWarning)
        yield
