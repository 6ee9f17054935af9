"""Back ends by name: ours, and others' by entry point."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import metadata

import torch

from pytest_gpuperf.backends.backend import Backend
from pytest_gpuperf.backends.compiled import Compiled
from pytest_gpuperf.backends.cudagraph import CudaGraph
from pytest_gpuperf.backends.eager import Eager
from pytest_gpuperf.backends.limits import limit_of
from pytest_gpuperf.backends.onnx_providers import TENSORRT
from pytest_gpuperf.backends.onnx_runtime import OnnxRuntime
from pytest_gpuperf.backends.precisions import precision_of
from pytest_gpuperf.backends.torchscript import TorchScript
from pytest_gpuperf.errors import UsageError

GROUP = "pytest_gpuperf.backends"

_OURS: dict[str, Backend] = {
    backend.name: backend
    for backend in (
        Eager(),
        TorchScript(),
        Compiled("compile", "default"),
        Compiled("compile-reduce-overhead", "reduce-overhead"),
        Compiled("compile-max-autotune", "max-autotune"),
        CudaGraph(),
        OnnxRuntime("onnxruntime"),
        OnnxRuntime("onnxruntime-cudagraph", graph=True),
        OnnxRuntime("onnxruntime-tensorrt", TENSORRT),
    )
}


def names() -> tuple[str, ...]:
    """Every back end that can be asked for."""
    return (*_OURS, *(name for name in _entry_points() if name not in _OURS))


def backend_of(name: str) -> Backend:
    """A back end by its name. An entry point gives a class or a function that makes one."""
    if name in _OURS:
        return _OURS[name]
    points = _entry_points()
    if name in points:
        made: Backend = points[name].load()()
        return made
    near = get_close_matches(name, names(), n=1, cutoff=0)[0]
    raise UsageError(f"There is no back end {name!r}. Did you mean {near!r}? The back ends are: {', '.join(names())}.")


def why_not(backend: str, precision: str, device: str | torch.device) -> str | None:
    """Why a back end cannot run in a precision on a device here; None where it can."""
    chosen, where = backend_of(backend), torch.device(device)
    limit = limit_of(backend, precision_of(precision).name, where)
    return limit or chosen.lacks(where)


def _entry_points() -> dict[str, metadata.EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group=GROUP)}
