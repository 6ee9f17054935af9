"""One captured CUDA graph, replayed."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import Any

import torch

from pytest_gpuperf.backends.backend import Job, Made
from pytest_gpuperf.backends.precisions import lower

_WARM_CALLS = 3  # libraries choose algorithms and workspaces before the capture


class CudaGraph:
    """``torch.cuda.CUDAGraph``: a call copies its inputs, where they are others, and replays."""

    name = "cudagraph"

    def lacks(self, device: torch.device) -> str | None:  # noqa: ARG002 - the table of limits knows devices
        """Nothing."""
        return None

    def make(self, job: Job) -> Made:
        """Capture on a stream of its own, as torch asks."""
        module = lower(job.module, job.precision, job.device)
        graph = torch.cuda.CUDAGraph()
        with torch.inference_mode():
            side = torch.cuda.Stream(job.device)
            side.wait_stream(torch.cuda.current_stream(job.device))
            with torch.cuda.stream(side):
                for _ in range(_WARM_CALLS):
                    module(*job.inputs)
            torch.cuda.current_stream(job.device).wait_stream(side)
            with torch.cuda.graph(graph):
                outputs = module(*job.inputs)
        captured = Captured(graph, module, job.inputs, outputs)
        return Made(captured, close=captured.close)


class Captured:
    """A graph, and everything whose addresses it uses: a graph keeps none of it alive, and freed memory is reused."""

    def __init__(self, graph: Any, module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], outputs: Any) -> None:
        self._graph = graph
        self._module: torch.nn.Module | None = module
        self._inputs = inputs
        self._outputs = outputs

    @property
    def __wrapped__(self) -> object:
        """What evidence looks at: the module whose parameters the graph reads."""
        return self._module

    def __call__(self, *inputs: torch.Tensor) -> Any:
        """Replay it. What comes out is overwritten by the next call."""
        for tensor, place in zip(inputs, self._inputs, strict=True):
            if tensor is not place:
                place.copy_(tensor)
        self._graph.replay()
        return self._outputs

    def close(self) -> None:
        """Give back the graph's memory and the module's, whoever still holds this."""
        self._graph.reset()
        self._module = self._outputs = None
        torch.cuda.empty_cache()  # nothing else can use the memory of a graph until then
