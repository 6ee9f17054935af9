"""Names of GPU kernels as a person reads them.

The profiler gives a C++ signature of a kilobyte; what one wants to know is what is done and in which type:
``void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<c10::Half>, ...>(...)`` is
``elementwise add fp16``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

LONGEST = 96
_TYPES = (  # the first that occurs: sums of a half precision are kept in fp32, so that one comes last
    ("bf16", r"BFloat16|bfloat16"),
    ("fp16", r"\bHalf\b|__half|half_t"),
    ("fp8", r"fp8_e\d|Float8_e\d|float_e\dm\d"),
    ("fp64", r"\bdouble\b"),
    ("fp32", r"\bfloat\b"),
    ("int8", r"signed char|\bint8_t\b"),
)
_DOINGS = (  # what an elementwise or reducing kernel of torch was made for
    r"(\w+?)_kernel_cuda",
    r"CUDAFunctor(?:On\w+?)?_(\w+)",
    r"launch_(\w+)",
    r"(?<![A-Z])\b((?!Binary|AUnary|BUnary|Unary|Compare)\w+)Functor\b",
    r"(\w+)Ops\b",
    r"(\w+?)(?:_kernel|CUDAKernelImpl|_kernel_impl)\(",
    r"(\w+)_functor\b",
)
_SHELLS = {"Kernel", "Kernel2", "device_kernel", "kernel"}  # names that say nothing: what they are made of does
_COPIES = re.compile(r"^(?:direct|bfloat16|float8)_copy$")


@lru_cache(maxsize=4096)
def shortened(name: str) -> str:
    """What it does, and in which type."""
    if name.startswith(("Memcpy", "Memset")):
        return name
    if name.startswith("_Z"):
        return _limited(_of_mangled(name))
    head, arguments = _parted(re.sub(r"^(?:void |std::enable_if<.*?>::type )+", "", name))
    base = _base(head)
    if "elementwise" in base or "reduce_kernel" in base:
        doing = _doing(arguments)
        base = f"{'reduce' if 'reduce' in base else 'elementwise'} {doing}" if doing else base
    elif base in _SHELLS:
        inner = re.search(r"[\w:]+", arguments) if base != "kernel" else None
        base = _base(inner[0]) if inner else "::".join(head.split("::")[-2:])
    elif base.startswith("triton_"):
        base = re.sub(r"_\d+$", "", base)  # its number in the graph is no part of what it does
    return _limited(" ".join(part for part in (base, _type(arguments)) if part))


def _parted(signature: str) -> tuple[str, str]:
    """The qualified name, and its template arguments; parameters are dropped."""
    signature = signature.replace("(anonymous namespace)::", "").replace("<unnamed>::", "")
    depth = 0
    start = end = len(signature)
    for at, character in enumerate(signature):
        if character == "<":
            start = at if depth == 0 and start == len(signature) else start
            depth += 1
        elif character == ">" and depth:
            depth -= 1
        elif character == "(" and depth == 0:
            end = at
            break
    return signature[: min(start, end)].strip(), signature[start + 1 : end]


def _base(qualified: str) -> str:
    return qualified.rpartition("::")[2].strip() or qualified


def _doing(arguments: str) -> str | None:
    for pattern in _DOINGS:
        found = re.search(pattern, arguments)
        if found:
            word = found[1].lower()
            return "copy" if _COPIES.match(word) else word
    return None


def _type(arguments: str) -> str | None:
    return next((name for name, pattern in _TYPES if re.search(pattern, arguments)), None)


def _of_mangled(name: str) -> str:
    """The last identifier of the nested name; the longest where that says nothing."""
    words = list(_identifiers(name))
    telling = [word for word in words if word not in _SHELLS]
    return max(telling, key=len) if telling else name


def _identifiers(name: str) -> Iterator[str]:
    """``_ZN2at6native3addE`` -> at, native, add: each stands behind its length."""
    at = 2
    while at < len(name):
        length = re.match(r"\d+", name[at:])
        if length is None:
            at += 1
            continue
        at += length.end()
        yield name[at : at + int(length[0])]
        at += int(length[0])


def _limited(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..."
