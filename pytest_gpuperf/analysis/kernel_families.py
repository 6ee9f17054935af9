"""What kind of work a kernel does, told by its name: torch's operators, cuBLAS, cuDNN, CUTLASS, Triton."""

from __future__ import annotations

import re
from typing import Literal

Family = Literal[
    "reorder", "copy", "attention", "convolution", "product", "norm", "softmax", "pool", "fused", "elementwise", "other"
]

# The first that fits. A reorder is a copy that changes nothing but the order in memory.
_NAMES: tuple[tuple[Family, str], ...] = (
    ("reorder", r"nchwToNhwc|nhwcToNchw|nchw2nhwc|transpose_readWrite|convertTensor|reorder"),
    ("attention", r"attention|flash|fmha|sdpa|\bmha"),
    ("fused", r"^triton_|fused|_foreach|layer_fwd"),
    ("convolution", r"conv|fprop|winograd|_slow_conv|implicit_gemm|wgrad|dgrad"),
    ("product", r"gemm|gemv|\b(?:add|b|baddb)?mm\b|addmm|matmul|linear|^dot$|^mv$|splitKreduce|cublas"),
    ("norm", r"norm|^bn_|batchnorm"),
    ("softmax", r"softmax"),
    ("pool", r"pool"),
    ("copy", r"copy|^clone$|^Memcpy|CatArray|^cat$|^stack$|^roll$|^repeat$|^contiguous$"),
    ("elementwise", r"elementwise|^reduce|Memset|^fill|^zero"),
)
HEAVY: frozenset[Family] = frozenset({"attention", "convolution", "product", "fused"})
# Names of types inside kernels' names, the first that fits; tf32 is fp32 in memory and a shorter product.
_TYPES = (
    ("bf16", r"bf16|bfloat16|s16816gemm_bf16"),
    ("fp16", r"(?<![a-z])f16|fp16|half|hgemm|h884|h1688"),
    ("fp8", r"e4m3|e5m2|fp8"),
    ("int8", r"int8|i8816|i16832|imma"),
    ("tf32", r"tf32|s1688"),
    ("fp64", r"fp64|dgemm|double"),
    ("fp32", r"fp32|sgemm|f32|float"),
)
_FAMILIES: tuple[tuple[Family, re.Pattern[str]], ...] = tuple((kind, re.compile(pattern)) for kind, pattern in _NAMES)
_PRECISIONS = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _TYPES)
_ELEMENTWISE = """
add add_ sub sub_ mul mul_ div div_ relu relu_ gelu silu silu_ sigmoid tanh exp clamp clamp_ clamp_min hardtanh
hardtanh_ hardswish hardswish_ leaky_relu where masked_fill masked_fill_ pow rsqrt sqrt mean sum neg
"""
_PLAIN = frozenset(_ELEMENTWISE.split())


def family(name: str) -> Family:
    """Of a shortened name."""
    if name in _PLAIN:
        return "elementwise"
    for found, pattern in _FAMILIES:
        if pattern.search(name):
            return found
    return "other"


def type_in(name: str) -> str | None:
    """The type that a kernel's name tells."""
    return next((found for found, pattern in _PRECISIONS if pattern.search(name)), None)
