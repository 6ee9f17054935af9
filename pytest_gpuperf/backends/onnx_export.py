"""A module as an ONNX file, exported once: the file's name is the hash of everything it was made from."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import hashlib
import inspect
import shutil
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from pytest_gpuperf.errors import MissingError
from pytest_gpuperf.scratch import cache_folder

_FILE = "model.onnx"
_MADE_BY = ("torch", "onnx", "onnxscript", "onnxruntime-gpu", "onnxruntime")


def exported(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], *, quantised: bool) -> Path:
    """The ONNX file of a module; its inputs' first dimension is the batch, and free."""
    path = folder() / _key(module, inputs, quantised=quantised) / _FILE
    if not path.exists():
        if reason := why_impossible():
            raise MissingError(reason)
        _make(path, lambda into: _export(module, inputs, into, quantised=quantised))
    return path


def why_impossible() -> str | None:
    """Why this torch cannot export; None where it can. Its exporter takes a free batch from torch 2.5 on."""
    if "dynamic_shapes" in inspect.signature(torch.onnx.export).parameters:
        return None
    return f"exporting to ONNX needs torch 2.5 or newer, and {torch.__version__} is installed: pip install 'torch>=2.5'"


def folder() -> Path:
    """Where exported files are kept. Everything in it may be deleted at any time."""
    return cache_folder() / "onnx"


def _make(path: Path, write: Callable[[Path], None]) -> None:
    """Write into a folder of its own, and give that its name at once: nobody sees half a file."""
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=path.parent.parent))
    try:
        write(scratch / path.name)
        scratch.rename(path.parent)
    except OSError:
        shutil.rmtree(scratch, ignore_errors=True)
        if not path.exists():  # nobody else was faster: this is a real error
            raise
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _export(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], path: Path, *, quantised: bool) -> None:
    batch = torch.export.Dim("batch")
    # Two of everything: of a batch of one the exporter would conclude that it is always one.
    two = tuple(torch.cat([tensor, tensor]) for tensor in inputs)
    with torch.no_grad():
        program: Any = torch.onnx.export(
            module, two, dynamo=True, dynamic_shapes=tuple({0: batch} for _ in two), verbose=False
        )
    program.save(path)
    if quantised:
        _quantise(path)


def _quantise(path: Path) -> None:
    import onnx  # noqa: PLC0415 - an extra
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415

    model: Any = onnx.load(path)
    # The exporter notes the shape of every value under its name; the quantiser gives old names to new shapes.
    del model.graph.value_info[:]
    quantize_dynamic(model, path, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm"])


def _key(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], *, quantised: bool) -> str:
    """Weights, structure, code, shapes and versions."""
    digest = hashlib.sha256()

    def add(*parts: object) -> None:
        digest.update("\0".join(map(str, parts)).encode() + b"\n")

    add(quantised, [(tuple(t.shape[1:]), t.dtype) for t in inputs], repr(module))
    add(*((name, _version(name)) for name in _MADE_BY))
    for kind in sorted({type(m) for m in module.modules()}, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}"):
        add(kind.__module__, kind.__qualname__, _source(kind))
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        add(name, tensor.dtype, tuple(tensor.shape))
        values: Any = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
        digest.update(values)
    return digest.hexdigest()[:32]


def _source(kind: type) -> str:
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):  # typed into an interpreter, or not written in Python
        return ""


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
