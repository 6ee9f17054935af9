"""One captured CUDA graph, replayed."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import Any

import torch

from pytest_gpuperf.backends.precisions import lower
from pytest_gpuperf.backends.protocol import Job, Made

_WARM_CALLS = 3  # libraries choose algorithms and workspaces before the capture


class CudaGraph:
    """``torch.cuda.CUDAGraph``: a call copies its inputs, where they are others, and replays."""

    name = "cudagraph"

    def lacks(self, device: torch.device) -> str | None:  # noqa: ARG002 - the table of limits knows devices
        """Nothing."""
        return None

    def make(self, job: Job) -> Made:  # pragma: no cover - needs a GPU
        """Capture on a stream of its own, as torch asks."""
        module = lower(job.module, job.precision, job.device)
        fixed = job.inputs
        graph = torch.cuda.CUDAGraph()
        with torch.inference_mode():
            side = torch.cuda.Stream(job.device)
            side.wait_stream(torch.cuda.current_stream(job.device))
            with torch.cuda.stream(side):
                for _ in range(_WARM_CALLS):
                    module(*fixed)
            torch.cuda.current_stream(job.device).wait_stream(side)
            with torch.cuda.graph(graph):
                outputs = module(*fixed)

        def run(*inputs: torch.Tensor) -> Any:
            for tensor, place in zip(inputs, fixed, strict=True):
                if tensor is not place:
                    place.copy_(tensor)
            graph.replay()
            return outputs

        return Made(run, close=graph.reset)
