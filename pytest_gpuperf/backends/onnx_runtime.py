"""ONNX Runtime: its CPU, CUDA and TensorRT providers, on bound memory.

Its clock rule: a call on CUDA runs on a stream made for this session, which waits for the caller's stream and is waited
for by it. Events on the caller's stream therefore enclose the work, and the sampler checks that they do: where ONNX
Runtime waited for the device itself, the host's clock is believed instead.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

import torch

from pytest_gpuperf.backends import onnx_providers
from pytest_gpuperf.backends.backend import Job, Made
from pytest_gpuperf.backends.onnx_export import exported, folder, why_impossible
from pytest_gpuperf.backends.onnx_providers import CPU, CUDA, TENSORRT

_WARM_CALLS = 3  # the first allocates and searches algorithms, the second captures a graph


@dataclass(frozen=True, slots=True)
class OnnxRuntime:
    """An exported module in an ONNX Runtime session."""

    name: str
    provider: str = CUDA  # on a GPU; on the processor it is always the CPU's
    graph: bool = False  # replays one CUDA graph

    def lacks(self, device: torch.device) -> str | None:
        """onnx, onnxscript and ONNX Runtime, built for the device."""
        wants = {"onnxruntime": "onnxruntime-gpu[cuda,cudnn]", "onnx": "onnx", "onnxscript": "onnxscript"}
        for module, package in wants.items():
            if util.find_spec(module) is None:
                return f"{self.name} needs {module}, which is not installed. Install it with: pip install '{package}'"
        if reason := why_impossible():
            return f"{self.name}: {reason}"
        if device.type == "cuda":  # pragma: no cover - needs a GPU
            return self._lacks_provider()
        return None

    def _lacks_provider(self) -> str | None:  # pragma: no cover - needs a GPU
        import onnxruntime  # noqa: PLC0415 - an extra

        if self.provider not in onnxruntime.get_available_providers():
            return (
                f"{self.name} needs ONNX Runtime's {self.provider}; the installed onnxruntime "
                f"{onnxruntime.__version__} is built without it. Install one that has it: "
                f"pip uninstall onnxruntime; pip install 'onnxruntime-gpu[cuda,cudnn]'"
            )
        if self.provider == TENSORRT and not any(d.name.startswith("tensorrt") for d in metadata.distributions()):
            return f"{self.name} needs TensorRT, which is not installed. Install it with: pip install tensorrt"
        return None

    def make(self, job: Job) -> Made:
        """Export, open a session on the device, and bind the job's inputs."""
        module = job.module.to(job.precision.weights)
        path = exported(module, tuple(t.cpu() for t in job.inputs), quantised=job.precision.quantised)
        shapes = deepcopy(module).to("meta")
        if job.device.type == "cuda":  # pragma: no cover - needs a GPU
            return self._on_cuda(job, path, shapes)
        session = onnx_providers.session(path, [(CPU, {})], torch.get_num_threads())
        return Made(Bound(session, shapes, job.device), onnx_providers.placement(session, CPU))

    def _on_cuda(self, job: Job, path: Path, shapes: torch.nn.Module) -> Made:  # pragma: no cover - needs a GPU
        # A stream of its own: the default one cannot be captured, and its handle 0 would mean "none given".
        stream = torch.cuda.Stream(job.device)
        common = {"device_id": str(job.device.index or 0), "user_compute_stream": str(stream.cuda_stream)}
        cuda = (
            CUDA,
            common | {"use_tf32": str(int(job.precision.tf32)), "enable_cuda_graph": str(int(self.graph))},
        )
        tensorrt = (
            TENSORRT,
            common
            | {
                "trt_fp16_enable": str(int(job.precision.weights == torch.float16)),
                "trt_engine_cache_enable": "1",
                "trt_engine_cache_path": str(folder() / "tensorrt"),
            },
        )
        providers = [tensorrt, cuda] if self.provider == TENSORRT else [cuda]
        session = onnx_providers.session(path, providers, torch.get_num_threads())
        bound = Bound(session, shapes, job.device)
        fixed, device, graph = job.inputs, job.device, self.graph

        def run(*inputs: torch.Tensor) -> Any:
            caller = torch.cuda.current_stream(device)
            stream.wait_stream(caller)
            with torch.cuda.stream(stream):
                if graph:  # it was captured on these addresses
                    for tensor, place in zip(inputs, fixed, strict=True):
                        if tensor is not place:
                            place.copy_(tensor)
                    outputs = bound(*fixed)
                else:
                    outputs = bound(*inputs)
            caller.wait_stream(stream)
            return outputs

        with torch.inference_mode():
            for _ in range(_WARM_CALLS):
                run(*fixed)
        torch.cuda.synchronize(job.device)
        return Made(run, onnx_providers.placement(session, self.provider))


class Bound:
    """A session whose inputs and outputs are torch's own memory: a call copies nothing."""

    def __init__(self, session: Any, shapes: torch.nn.Module, device: torch.device) -> None:
        self._session = session
        self._shapes = shapes  # the module without its weights: gives the shapes of the outputs
        self._device = device
        self._options: Any = None  # a processor's call is 40 us longer with options
        if device.type == "cuda":  # pragma: no cover - needs a GPU
            import onnxruntime  # noqa: PLC0415 - an extra

            self._options = onnxruntime.RunOptions()
            # The caller synchronises when it needs the result, not this session after every call.
            self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        self._binding: Any = session.io_binding()
        self._held: tuple[torch.Tensor, ...] = ()
        self._outputs: tuple[torch.Tensor, ...] = ()

    @property
    def __wrapped__(self) -> object:
        """What evidence looks at: the memory it works on, not the module that gives the shapes."""
        return self._held

    def __call__(self, *inputs: torch.Tensor) -> Any:
        """Run it. What comes out is overwritten by the next call with the same inputs."""
        if len(inputs) != len(self._held) or any(a is not b for a, b in zip(inputs, self._held, strict=True)):
            self._bind(inputs)
        self._session.run_with_iobinding(self._binding, self._options)
        return self._outputs[0] if len(self._outputs) == 1 else self._outputs

    def _bind(self, inputs: tuple[torch.Tensor, ...]) -> None:
        with torch.no_grad():
            expected = self._shapes(*(t.to("meta") for t in inputs))
        outputs = (expected,) if isinstance(expected, torch.Tensor) else tuple(expected)
        self._held = tuple(t.contiguous() for t in inputs)  # where that made a copy, the next call makes a new one
        self._outputs = tuple(torch.empty(t.shape, dtype=t.dtype, device=self._device) for t in outputs)
        self._binding.clear_binding_inputs()
        self._binding.clear_binding_outputs()
        for slot, tensor in zip(self._session.get_inputs(), self._held, strict=True):
            self._binding.bind_input(slot.name, *self._memory(tensor))
        for slot, tensor in zip(self._session.get_outputs(), self._outputs, strict=True):
            self._binding.bind_output(slot.name, *self._memory(tensor))

    def _memory(self, tensor: torch.Tensor) -> tuple[Any, ...]:
        kind = torch.empty(0, dtype=tensor.dtype).numpy().dtype
        return self._device.type, self._device.index or 0, kind, tuple(tensor.shape), tensor.data_ptr()
