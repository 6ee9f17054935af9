"""Small plausible profiles of one call to start from."""

from __future__ import annotations

import msgspec

from pytest_gpuperf.records.model import Baseline, Kernel, Profile, Run

CONVOLUTION = Kernel(
    name="sm80_xmma_fprop_f16", within="conv2d", count=20, seconds=9e-3, inputs={"fp16": 20}, shape="8x64x56x56"
)
RELU = Kernel(name="elementwise clamp_scalar fp16", within="relu_", count=17, seconds=8e-4, inputs={"fp16": 17})
COPY = Kernel(name="elementwise copy fp16", within="contiguous", count=2, seconds=1.6e-3, inputs={"fp16": 2})


def a_profile(*kernels: Kernel, **changes: object) -> Profile:
    """A call that ran these kernels, or a convolution and a relu."""
    kernels = kernels or (CONVOLUTION, RELU)
    fields: dict[str, object] = {
        "session": "s0",
        "unit": "kernel",
        "launches": sum(k.count for k in kernels),
        "busy": sum(k.seconds for k in kernels),
        "idle": 1e-4,
        "kernels": kernels,
        "parameters": {"fp16": 2**20},
        "settings": {"threads": "2"},
    }
    return Profile(**(fields | changes))  # type: ignore[arg-type]


def profiled_run(run: Run, profile: Profile | None) -> Run:
    """The run, each of whose cases has that profile."""
    return msgspec.structs.replace(run, cases=tuple(msgspec.structs.replace(c, profile=profile) for c in run.cases))


def profiled_baseline(baseline: Baseline, profile: Profile | None) -> Baseline:
    """Likewise."""
    return msgspec.structs.replace(
        baseline, cases=tuple(msgspec.structs.replace(c, profile=profile) for c in baseline.cases)
    )
