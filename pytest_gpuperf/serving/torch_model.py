"""A model in torch, as a server holds it: a copy on each device, and what is known about where it runs."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from pytest_gpuperf.backends.precisions import Precision, lower
from pytest_gpuperf.serving.deployment import Deployment, flat
from pytest_gpuperf.serving.kserve import Array

Nanoseconds = tuple[int, int, int]  # of input, inference and output


def parameters_by_device(module: torch.nn.Module) -> Mapping[str, int]:
    """Bytes of the weights on each device."""
    held: Counter[str] = Counter()
    for tensor in [*module.parameters(), *module.buffers()]:
        held[str(tensor.device)] += tensor.numel() * tensor.element_size()
    return dict(held)


@dataclass
class Replica:
    """One copy of the model, and the instances that share its weights."""

    device: torch.device
    module: torch.nn.Module
    precision: Precision
    wire: torch.dtype
    threads: int
    gpu_seconds: float = 0.0  # between CUDA events around the calls: only a GPU can have spent them
    calls: int = 0
    outputs_on: str | None = None  # the device of the latest outputs, before they were fetched
    _local: threading.local = field(default_factory=threading.local)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, module: torch.nn.Module, deployment: Deployment, device: str) -> Replica:
        """A copy of a module on a device, in a precision."""
        place = torch.device(device)
        return cls(
            place, lower(deepcopy(module), deployment.how, place), deployment.how, deployment.wire, deployment.threads
        )

    def run(self, parts: Sequence[Sequence[Array]]) -> tuple[list[Array], Nanoseconds]:
        """The outputs of one batch: each input is given as the requests' parts of it."""
        self._settle()
        with torch.inference_mode():
            begun = time.perf_counter_ns()
            inputs = [self._brought(arrays) for arrays in parts]
            self._wait()
            brought = time.perf_counter_ns()
            outputs = self._called(inputs)
            ran = time.perf_counter_ns()
            self.outputs_on = str(outputs[0].device)
            fetched = [
                output.to("cpu", self.wire if output.is_floating_point() else None).numpy() for output in outputs
            ]
            done = time.perf_counter_ns()
        return fetched, (brought - begun, ran - brought, done - ran)

    def _settle(self) -> None:
        """Settings that torch keeps for each thread."""
        if not getattr(self._local, "settled", False):
            torch.set_num_threads(self.threads)
            if self.device.type == "cuda":  # pragma: no cover - needs a GPU
                torch.cuda.set_device(self.device)
                torch.cuda.set_stream(torch.cuda.Stream(self.device))  # instances of one GPU may overlap
            self._local.settled = True

    def _brought(self, arrays: Sequence[Array]) -> torch.Tensor:
        whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        # torch warns of memory it may not write, which a request's is; it would write there only if the model did.
        tensor = torch.from_numpy(whole if whole.flags.writeable else whole.copy())
        return tensor.to(self.device, self.precision.weights if tensor.is_floating_point() else None)

    def _called(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        if self.device.type != "cuda":
            outputs = flat(self.module(*inputs))
        else:  # pragma: no cover - needs a GPU
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            outputs = flat(self.module(*inputs))
            end.record()
            end.synchronize()
            with self._lock:
                self.gpu_seconds += start.elapsed_time(end) / 1000
        with self._lock:
            self.calls += 1
        return outputs

    def _wait(self) -> None:
        if self.device.type == "cuda":  # pragma: no cover - needs a GPU
            torch.cuda.current_stream(self.device).synchronize()

    def facts(self) -> Mapping[str, Any]:
        """Where this copy is, and what it did there."""
        return {
            "device": str(self.device),
            "parameter_bytes": dict(parameters_by_device(self.module)),
            "outputs_on": self.outputs_on,
            "calls": self.calls,
            "gpu_seconds": round(self.gpu_seconds, 6),
        }


def gpu_facts() -> Mapping[str, Any]:
    """What torch sees of the GPUs."""
    if not torch.cuda.is_available():
        return {"cuda": False, "torch": torch.__version__, "built_for_cuda": torch.version.cuda, "gpus": []}
    gpus: list[Mapping[str, Any]] = []  # pragma: no cover - needs a GPU
    for index in range(torch.cuda.device_count()):  # pragma: no cover - needs a GPU
        properties: Any = torch.cuda.get_device_properties(index)
        gpus.append(
            {
                "index": index,
                "name": properties.name,
                "total_bytes": properties.total_memory,
                "allocated_bytes": torch.cuda.memory_allocated(index),
                "reserved_bytes": torch.cuda.memory_reserved(index),
            }
        )
    return {  # pragma: no cover - needs a GPU
        "cuda": True,
        "torch": torch.__version__,
        "built_for_cuda": torch.version.cuda,
        "gpus": gpus,
    }
