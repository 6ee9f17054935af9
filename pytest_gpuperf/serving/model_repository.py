"""A workload as Triton's model repository: its file, its config.pbtxt and, for the Python back end, its model.py."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pytest_gpuperf.backends import why_not
from pytest_gpuperf.backends.limits import limit_on
from pytest_gpuperf.backends.onnx_export import exported
from pytest_gpuperf.errors import FileError, MissingError, UsageError
from pytest_gpuperf.models.workload import Workload
from pytest_gpuperf.records.folders import replaced_folder
from pytest_gpuperf.serving import install
from pytest_gpuperf.serving.deployment import Deployment, Signature, Tensor, served_name, signature_of
from pytest_gpuperf.serving.faults import NULL_MODEL

_MODEL = Path(__file__).with_name("served_model.py")
_NULL = Path(__file__).with_name("null_model.py")
_NULL_SLOTS = (("input", "x"), ("output", "y"))
_NATIVE = "onnxruntime"  # the back end that reads an ONNX file itself
_GRAPHS = {  # what optimization.cuda.graphs does, by back end
    "python": "not effective: Triton's Python back end has none",
    _NATIVE: "not effective: Triton's ONNX Runtime back end does not read this setting",
}


@dataclass(frozen=True)
class Written:
    """A model repository with one model in it."""

    folder: Path
    model: str
    backend: str  # Triton's
    signature: Signature
    cuda_graphs: str  # "off", or whether the setting acts


def write(workload: Workload, deployment: Deployment, into: Path, backends: Collection[str] = ("python",)) -> Written:
    """Write a workload's repository for a server that has these back ends.

    Another model in the folder stays; the same one is replaced, where gpuperf wrote it.
    """
    backend = _NATIVE if deployment.runtime == "onnx" and _NATIVE in backends else "python"
    _refuse_impossible(workload, deployment, backends, backend)
    if "python" in backends and any(c.isspace() for c in str(into.absolute())):
        raise UsageError(
            f"Triton's Python back end takes a path apart at its spaces, and cannot serve from {into}. Choose a folder "
            f"without spaces; for the tests' own servers: pytest --basetemp DIR."
        )
    model = served_name(workload.name)
    signature = signature_of(workload, deployment.wire)
    try:
        with replaced_folder(into / model) as place:
            version = place / "1"
            version.mkdir()
            if deployment.runtime == "onnx":
                file = _onnx(workload, deployment, version)
                signature = _as_in_file(signature, file) if backend == _NATIVE else signature
            else:
                file = version / "model.pt2"
                export_program(workload, deployment, file)
            if backend == "python":
                shutil.copyfile(_MODEL, version / "model.py")
            config = "\n".join(_config(model, backend, file.name, deployment, signature))
            (place / "config.pbtxt").write_text(config + "\n", encoding="utf-8")
        if "python" in backends:
            with replaced_folder(into / NULL_MODEL) as place:
                _write_null(place)
    except OSError as error:
        raise FileError(
            f"The model repository could not be written to {into}: {error}. Choose another folder."
        ) from error
    graphs = _GRAPHS[backend] if deployment.cuda_graphs else "off"
    return Written(into, model, backend, signature, graphs)


def _refuse_impossible(workload: Workload, deployment: Deployment, backends: Collection[str], backend: str) -> None:
    if backend not in backends:
        raise UsageError(
            f"A model of the runtime {deployment.runtime} needs Triton's back end python, and this Triton has only "
            f"{', '.join(sorted(backends))}. Take it off PATH and install one that has it: {install.COMMAND}"
        )
    runner = "onnxruntime" if deployment.runtime == "onnx" else "eager"
    kind = deployment.devices[0].partition(":")[0]
    if kind == "cpu":
        reason = why_not(runner, deployment.precision, "cpu")
    else:  # it may be written on a machine without a GPU: what depends on the card is not asked
        reason = limit_on(runner, deployment.precision, "cuda", None)
    if deployment.how.quantised and deployment.runtime == "torch":
        reason = "torch cannot export its dynamically quantised modules; serve int8 with the onnx runtime"
    if reason is not None:
        raise MissingError(f"{workload.name} cannot be served: {reason}")


def _onnx(workload: Workload, deployment: Deployment, version: Path) -> Path:
    """The file the back end `onnxruntime` would run, with the weights beside it where they are large."""
    how = deployment.how
    module = deepcopy(workload.module).to(how.weights)
    inputs = tuple(t.to(how.weights) if t.is_floating_point() else t for t in workload.inputs(1))
    made = exported(module, inputs, quantised=how.quantised)
    for part in made.parent.iterdir():
        shutil.copyfile(part, version / part.name)
    return version / made.name


def export_program(workload: Workload, deployment: Deployment, file: Path) -> None:
    """The module as torch exports it: operators and weights, without the classes that made them."""
    weights = deployment.how.weights
    module = deepcopy(workload.module).to(weights)
    # Two of everything: of a batch of one the exporter would conclude that it is always one.
    inputs = tuple(t.to(weights) if t.is_floating_point() else t for t in workload.inputs(2))
    batch = torch.export.Dim("batch")
    try:
        with torch.no_grad():
            program: Any = torch.export.export(module, inputs, dynamic_shapes=tuple({0: batch} for _ in inputs))
    except Exception as error:  # torch raises of every kind here
        raise MissingError(
            f"{workload.name} cannot be served by torch in Triton: torch.export refuses the module ({error}). Make its "
            f"forward depend on no value of its tensors, or serve it with torch_server, which runs the module itself."
        ) from error
    torch.export.save(program, file)


def _write_null(place: Path) -> None:
    """Write the empty model beside it: a request to it takes only the way there and back, and Triton's own work."""
    (place / "1").mkdir()
    shutil.copyfile(_NULL, place / "1" / "model.py")
    slots = (f'{word} [ {{ name: "{name}" data_type: TYPE_FP32 dims: [ 1 ] }} ]' for word, name in _NULL_SLOTS)
    lines = [f'name: "{NULL_MODEL}"', 'backend: "python"', "max_batch_size: 1", *slots]
    lines.append("instance_group [ { kind: KIND_CPU count: 1 } ]")
    (place / "config.pbtxt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _as_in_file(signature: Signature, file: Path) -> Signature:
    """The native back end takes the file's own names."""
    import onnx  # noqa: PLC0415 - an extra

    graph: Any = onnx.load(file, load_external_data=False).graph
    return Signature(_renamed(signature.inputs, graph.input), _renamed(signature.outputs, graph.output))


def _renamed(tensors: Sequence[Tensor], slots: Sequence[Any]) -> tuple[Tensor, ...]:
    return tuple(Tensor(slot.name, t.datatype, t.shape) for t, slot in zip(tensors, slots, strict=True))


def _config(model: str, backend: str, file: str, deployment: Deployment, signature: Signature) -> Iterator[str]:
    yield f"name: {json.dumps(model)}"
    yield f"backend: {json.dumps(backend)}"
    yield f"max_batch_size: {deployment.max_batch}"
    for word, tensors in (("input", signature.inputs), ("output", signature.outputs)):
        for t in tensors:
            dims = ", ".join(map(str, t.shape))
            yield f"{word} [ {{ name: {json.dumps(t.name)} data_type: TYPE_{t.datatype} dims: [ {dims} ] }} ]"
    yield from _instances(deployment)
    if deployment.batching:
        yield "dynamic_batching {"
        yield f"  preferred_batch_size: [ {', '.join(map(str, deployment.preferred))} ]"
        yield f"  max_queue_delay_microseconds: {round(deployment.queue_delay * 1e6)}"
        yield "}"
    if deployment.cuda_graphs:
        yield "optimization { cuda { graphs: true } }"
    parameters = (
        {"intra_op_thread_count": str(deployment.threads)}
        if backend == _NATIVE
        else _model_parameters(deployment, file)
    )
    for key, value in parameters.items():
        yield f"parameters {{ key: {json.dumps(key)} value {{ string_value: {json.dumps(value)} }} }}"


def _instances(deployment: Deployment) -> Iterator[str]:
    if deployment.on_gpu:
        gpus = ", ".join(device[5:] for device in deployment.devices)
        yield f"instance_group [ {{ kind: KIND_GPU count: {deployment.instances} gpus: [ {gpus} ] }} ]"
    else:
        yield f"instance_group [ {{ kind: KIND_CPU count: {deployment.instances} }} ]"


def _model_parameters(deployment: Deployment, file: str) -> Mapping[str, str]:
    """The parameters that served_model.py reads."""
    how = deployment.how
    return {
        "runtime": deployment.runtime,
        "file": file,
        "threads": str(deployment.threads),
        "tf32": str(int(how.tf32)),
        "weights": _plain(how.weights),
        "wire": _plain(deployment.wire),
        "autocast": "" if how.autocast is None else _plain(how.autocast),
    }


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
