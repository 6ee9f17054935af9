"""The model.py of a Triton model repository: a model in ONNX Runtime or in torch, run by Triton's Python back end.

It is copied into the repository and must run where this package is not installed: it imports nothing of it.
"""
# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import ctypes
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

# The back end was built against numpy 1. Under numpy 2 it reads the size of an element from the wrong place and says
# nothing: `as_numpy()` gives wrong values, and a Tensor made of an array carries 0 bytes. DLPack does not go through
# numpy's binary interface. Under numpy 1 the way out by DLPack crashes instead, and the plain one is right.
NUMPY_2 = int(np.__version__.split(".")[0]) >= 2
FRESH, USED = b"dltensor", b"used_dltensor"  # names of capsules; they must live as long as any capsule does
_new, _pointer, _rename = (ctypes.pythonapi[f"PyCapsule_{verb}"] for verb in ("New", "GetPointer", "SetName"))
_new.restype, _new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_rename.restype, _rename.argtypes = ctypes.c_int, [ctypes.py_object, ctypes.c_char_p]


class Handed:
    """An array on its way out. The back end marks a capsule as used by a word that numpy does not know.

    numpy would complain in the log about every single one, so the back end gets a capsule that numpy never sees again.
    """

    def __init__(self, array: Any) -> None:
        self._array = array

    def __dlpack__(self, **_: Any) -> Any:
        capsule = self._array.__dlpack__()
        pointer = _pointer(capsule, FRESH)
        _rename(capsule, USED)
        return _new(pointer, FRESH, None)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


class OnnxRuntime:
    """A session of ONNX Runtime that refuses to fall back to the processor."""

    def __init__(self, file: Path, device: str, settings: dict[str, str]) -> None:
        import onnxruntime  # noqa: PLC0415 - only the runtime that is asked for need be installed

        provider: Any = "CPUExecutionProvider"
        if device != "cpu":
            if hasattr(onnxruntime, "preload_dlls"):
                onnxruntime.preload_dlls(msvc=False)  # CUDA's libraries where pip put them
            provider = ("CUDAExecutionProvider", {"device_id": device[5:], "use_tf32": settings["tf32"]})
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(settings["threads"])
        self._session = onnxruntime.InferenceSession(str(file), options, providers=[provider])
        provider_in_use = self._session.get_providers()[0]
        if provider_in_use != (provider if device == "cpu" else provider[0]):
            raise pb_utils.TritonModelException(
                f"ONNX Runtime fell back to {provider_in_use}; the model belongs on {device}"
            )
        self._names = [slot.name for slot in self._session.get_inputs()]
        self.description = f"{device}, ONNX Runtime {onnxruntime.__version__}, {provider_in_use}"

    @staticmethod
    def take(tensor: Any) -> Any:
        """An input of a request."""
        return np.from_dlpack(tensor)

    @staticmethod
    def join(parts: list[Any]) -> Any:
        """One batch of several requests' inputs."""
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @staticmethod
    def give(name: str, part: Any) -> Any:
        """An output of a response."""
        whole = np.require(part, requirements=["C", "W"])
        return pb_utils.Tensor.from_dlpack(name, Handed(whole)) if NUMPY_2 else pb_utils.Tensor(name, whole)

    def run(self, batch: list[Any]) -> list[Any]:
        """All outputs of a batch."""
        return list(self._session.run(None, dict(zip(self._names, batch, strict=True))))


def move(program: Any, device: str) -> Any:
    """An exported program, and all that it holds, on a GPU."""
    try:
        from torch.export.passes import move_to_device_pass  # noqa: PLC0415
    except ImportError:
        raise pb_utils.TritonModelException(
            f"torch 2.5 or newer is needed to move an exported program to {device}: "
            f"install it where Triton's Python back end finds it, or serve the model with the onnx runtime"
        ) from None
    return move_to_device_pass(program, device)


class Torch:
    """An exported program of torch, in eager operators."""

    def __init__(self, file: Path, device: str, settings: dict[str, str]) -> None:
        import torch  # noqa: PLC0415

        self._torch, self._device = torch, device
        torch.set_num_threads(int(settings["threads"]))
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = settings["tf32"] == "1"
        program = torch.export.load(file)
        if device != "cpu":
            program = move(program, device)
        self._module = program.module()
        self._weights = getattr(torch, settings["weights"])
        self._wire = getattr(torch, settings["wire"])
        autocast = settings["autocast"]
        self._cast = (
            (lambda: torch.autocast(device.partition(":")[0], getattr(torch, autocast), cache_enabled=False))
            if autocast
            else nullcontext
        )
        weight_devices = {str(p.device) for p in self._module.parameters()} or {device}
        if weight_devices != {device}:
            raise pb_utils.TritonModelException(
                f"the weights are on {', '.join(sorted(weight_devices))}, not on {device}"
            )
        self.description = f"{device}, torch {torch.__version__}"

    def take(self, tensor: Any) -> Any:
        """An input of a request."""
        return self._torch.from_dlpack(tensor)

    def join(self, parts: list[Any]) -> Any:
        """One batch of several requests' inputs, where and of the type that the weights are."""
        whole = parts[0] if len(parts) == 1 else self._torch.cat(parts)
        return whole.to(self._device, self._weights if whole.is_floating_point() else None)

    @staticmethod
    def give(name: str, part: Any) -> Any:
        """An output of a response."""
        return pb_utils.Tensor.from_dlpack(name, part.contiguous())

    def run(self, batch: list[Any]) -> list[Any]:
        """All outputs of a batch."""
        with self._torch.inference_mode(), self._cast():
            outputs = self._module(*batch)
        listed = [outputs] if isinstance(outputs, self._torch.Tensor) else list(outputs)
        return [one.to("cpu", self._wire if one.is_floating_point() else None) for one in listed]


RUNTIMES = {"onnx": OnnxRuntime, "torch": Torch}


class TritonPythonModel:
    """What Triton's Python back end looks for."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model on the instance's device, and say which that is."""
        config = json.loads(args["model_config"])
        settings = {name: value["string_value"] for name, value in config["parameters"].items()}
        self._inputs = [one["name"] for one in config["input"]]
        self._outputs = [one["name"] for one in config["output"]]
        on_gpu = args["model_instance_kind"] == "GPU"
        device = f"cuda:{args['model_instance_device_id']}" if on_gpu else "cpu"
        file = Path(args["model_repository"], args["model_version"], settings["file"])
        self._runtime = RUNTIMES[settings["runtime"]](file, device, settings)
        line = f"gpuperf: instance {args['model_instance_name']} serves on {self._runtime.description}"
        pb_utils.Logger.log_info(line)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Run the requests that Triton put together as one batch."""
        runtime = self._runtime
        taken = [[runtime.take(pb_utils.get_input_tensor_by_name(r, name)) for r in requests] for name in self._inputs]
        ends = [int(n) for n in np.cumsum([len(part) for part in taken[0]])]
        outputs = runtime.run([runtime.join(parts) for parts in taken])
        return [
            pb_utils.InferenceResponse(
                [runtime.give(name, whole[start:end]) for name, whole in zip(self._outputs, outputs, strict=True)]
            )
            for start, end in zip([0, *ends[:-1]], ends, strict=True)
        ]
