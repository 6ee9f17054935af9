from __future__ import annotations

import pytest

from pytest_gpuperf.backends.limits import RISKY, limit_of, limit_on

T4, A10, P100 = (7, 5), (8, 6), (6, 0)


@pytest.mark.parametrize(
    ("backend", "precision", "capability", "reason"),
    [
        ("eager", "fp32", T4, None),
        ("eager", "tf32", T4, "TF32 needs compute capability 8.0"),
        ("eager", "tf32", A10, None),
        ("eager", "bf16", T4, "bfloat16 needs compute capability 8.0"),
        ("eager", "autocast_fp16", T4, None),
        ("eager", "autocast_fp16", P100, "fast fp16 needs compute capability 7.0"),
        ("cudagraph", "fp16", T4, None),
        ("eager", "int8", A10, "calibrated, static quantisation"),
        ("onnxruntime", "autocast_fp16", A10, "has no autocast"),
        ("onnxruntime-tensorrt", "fp32", T4, None),  # it has no TF32 that could be forbidden
        ("onnxruntime-tensorrt", "fp32", A10, "no option that forbids TF32"),
        ("of-another-package", "fp16", A10, None),
    ],
)
def test_what_a_gpu_can_do(backend, precision, capability, reason):
    found = limit_on(backend, precision, "cuda", capability)
    assert found is None if reason is None else reason in found


@pytest.mark.parametrize(
    ("backend", "precision", "reason"),
    [
        ("eager", "fp16", None),
        ("eager", "tf32", "tensor cores"),
        ("eager", "int8", None),
        ("compile", "int8", None),
        ("cudagraph", "fp32", "CUDA devices only"),
        ("onnxruntime-tensorrt", "fp32", "CUDA devices only"),
        ("onnxruntime", "fp16", "between casts"),
        ("onnxruntime", "bf16", "takes no bfloat16"),
        ("onnxruntime", "int8", None),
    ],
)
def test_what_a_processor_can_do(backend, precision, reason):
    found = limit_of(backend, precision, "cpu")
    assert found is None if reason is None else reason in found


def test_autocast_in_a_trace_is_known_to_be_risky():
    assert ("torchscript", "autocast_fp16") in RISKY
