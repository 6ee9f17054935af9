"""What a back end cannot do in a precision on a device, and why: one table, asked by tests, skips and the matrix."""

from __future__ import annotations

from dataclasses import dataclass

import torch

ANY = "*"
_ORT = ("onnxruntime", "onnxruntime-cudagraph", "onnxruntime-tensorrt")
RISKY = {
    ("torchscript", "autocast_fp16"): "a trace under autocast holds the casts of one run; check its parity",
}


@dataclass(frozen=True, slots=True)
class Limit:
    """The combinations it names are out; the first that fits gives the reason."""

    backends: tuple[str, ...]
    precisions: tuple[str, ...]
    device: str  # "cpu", "cuda" or any
    reason: str
    below: tuple[int, int] | None = None  # only on GPUs of less compute capability ...
    since: tuple[int, int] = (0, 0)  # ... or of at least this

    def fits(self, backend: str, precision: str, device: str, capability: tuple[int, int] | None) -> bool:
        """Whether a combination is out."""
        return (
            _in(backend, self.backends)
            and _in(precision, self.precisions)
            and self.device in {device, ANY}
            and (capability is None or self.since <= capability)
            and (self.below is None or (capability is not None and capability < self.below))
        )


def _in(name: str, names: tuple[str, ...]) -> bool:
    return names == (ANY,) or name in names


LIMITS = (
    Limit(("cudagraph", "onnxruntime-cudagraph"), (ANY,), "cpu", "CUDA graphs exist on CUDA devices only"),
    Limit(("onnxruntime-tensorrt",), (ANY,), "cpu", "TensorRT exists on CUDA devices only"),
    Limit((ANY,), ("tf32",), "cpu", "TF32 is a format of NVIDIA's tensor cores"),
    Limit((ANY,), ("tf32",), "cuda", "TF32 needs compute capability 8.0 (Ampere)", below=(8, 0)),
    Limit((ANY,), ("bf16", "autocast_bf16"), "cuda", "bfloat16 needs compute capability 8.0 (Ampere)", below=(8, 0)),
    Limit((ANY,), ("fp16", "autocast_fp16"), "cuda", "fast fp16 needs compute capability 7.0 (Volta)", below=(7, 0)),
    Limit(
        (ANY,),
        ("int8",),
        "cuda",
        "int8 on a GPU needs calibrated, static quantisation (torchao, or TensorRT with a calibration table); there is "
        "dynamic quantisation on the CPU only",
    ),
    Limit(_ORT, ("autocast_fp16", "autocast_bf16"), ANY, "ONNX Runtime has no autocast; convert the weights: fp16"),
    Limit(_ORT, ("fp16",), "cpu", "ONNX Runtime's CPU provider computes fp16 in fp32, between casts"),
    Limit(_ORT, ("bf16",), ANY, "ONNX's convolution takes no bfloat16 in the opset that torch exports"),
    Limit(
        ("onnxruntime-tensorrt",),
        ("fp32",),
        "cuda",
        "ONNX Runtime's TensorRT provider has no option that forbids TF32; measure it as tf32",
        since=(8, 0),
    ),
)


def limit_of(backend: str, precision: str, device: str | torch.device) -> str | None:
    """Why a back end cannot run in a precision on a device, whatever is installed; None where it can."""
    device, capability = torch.device(device), None
    if device.type == "cuda":  # pragma: no cover - needs a GPU
        capability = torch.cuda.get_device_capability(device)
    return limit_on(backend, precision, device.type, capability)


def limit_on(backend: str, precision: str, device: str, capability: tuple[int, int] | None) -> str | None:
    """The same for a kind of device that this machine need not have."""
    fitting = (limit.reason for limit in LIMITS if limit.fits(backend, precision, device, capability))
    return next(fitting, None)
