"""Kernels of two profiles: what kind of work each does, and which appeared, vanished, grew or shrank. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from pytest_gpuperf.records.model import Kernel, Profile, Record

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
# Of the time in one call: a smaller change counts as none. A processor varies by itself far more than a card.
MOVED = {"kernel": 0.05, "operator": 0.25}
NOTICED = 0.01  # of the busy time: a smaller change of one kernel counts as none
CERTAIN = 2.0  # times the shortest kernel of the list: a kernel that takes longer would have been in the list
NOTHING = Kernel(name="-", count=1, seconds=0.0)


def family(name: str) -> Family:
    """The kind of work that a kernel of this shortened name does."""
    if name in _PLAIN:
        return "elementwise"
    for kind, pattern in _FAMILIES:
        if pattern.search(name):
            return kind
    return "other"


def type_in(name: str) -> str | None:
    """The type that stands in a kernel's name."""
    return next((kind for kind, pattern in _PRECISIONS if pattern.search(name)), None)


Word = Literal["appeared", "vanished", "grew", "shrank", "same"]
Key = tuple[str, str | None]


class KernelChange(Record, frozen=True, kw_only=True):
    """One kernel in two profiles: (baseline, current) of each figure."""

    name: str
    within: str | None = None  # the outermost operator it runs for
    word: Word
    count: tuple[int, int]
    seconds: tuple[float, float]
    inputs: tuple[dict[str, int], dict[str, int]] = ({}, {})
    shape: tuple[str | None, str | None] = (None, None)

    @property
    def more(self) -> float:
        """Seconds that it takes more than before."""
        return self.seconds[1] - self.seconds[0]

    @property
    def more_launches(self) -> int:
        """Launches more than before."""
        return self.count[1] - self.count[0]

    @property
    def title(self) -> str:
        """``copy_ (contiguous)``: what it is, and for whom it runs."""
        return f"{self.name} ({self.within})" if self.within else self.name


def kernel_changes(before: Profile, after: Profile) -> tuple[KernelChange, ...]:
    """Every kernel of either, the largest change of time first.

    A profile keeps its longest kernels only. One that is missing from a shortened list may have been just below it: it
    has appeared or vanished only if it is too long for that.
    """
    old, new = _by_key(before.kernels), _by_key(after.kernels)
    least = max(NOTICED * max(before.busy, after.busy), 0.0)
    changes = (
        _change(key, old.get(key), new.get(key), _hidden(before), _hidden(after), MOVED[after.unit], least)
        for key in dict.fromkeys((*new, *old))
    )
    return tuple(sorted((c for c in changes if c), key=lambda c: (-abs(c.more), c.title)))


def _by_key(kernels: Iterable[Kernel]) -> Mapping[Key, Kernel]:
    return {(k.name, k.within): k for k in kernels}


def _hidden(profile: Profile) -> float:
    """The longest time that a kernel may take and yet not be in the list."""
    return profile.kernels[-1].seconds if profile.kernels and profile.unlisted else 0.0


def _change(
    key: Key,
    old: Kernel | None,
    new: Kernel | None,
    below_old: float,
    below_new: float,
    threshold: float,
    least: float,
) -> KernelChange | None:
    if old is None or new is None:
        present, below = (new, below_old) if old is None else (old, below_new)
        if present is not None and below and present.seconds <= CERTAIN * below:
            return None
    a, b = old or NOTHING, new or NOTHING
    return KernelChange(
        name=key[0],
        within=key[1],
        word=_word(old, new, threshold, least),
        count=(a.count if old else 0, b.count if new else 0),
        seconds=(a.seconds, b.seconds),
        inputs=(a.inputs, b.inputs),
        shape=(a.shape, b.shape),
    )


def _word(old: Kernel | None, new: Kernel | None, threshold: float, least: float) -> Word:
    if old is None:
        return "appeared"
    if new is None:
        return "vanished"
    if new.count != old.count:
        return "grew" if new.count > old.count else "shrank"
    more = new.seconds - old.seconds
    if abs(more) < max(least, threshold * old.seconds):
        return "same"
    return "grew" if more > 0 else "shrank"
