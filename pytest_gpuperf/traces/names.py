"""Names as a person reads them: of GPU kernels, and of the operators that compute on a processor."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportPrivateUsage=false
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Any, NamedTuple

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
_SHELLS = {"Kernel", "Kernel2", "device_kernel", "kernel"}  # names that say nothing: their template arguments do
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
    """The longest identifier of the nested name, without those that say nothing."""
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


_NAMES = """
alias as_strided as_strided_ chunk conj contiguous detach detach_ diagonal dropout empty empty_like empty_strided
expand expand_as feature_dropout flatten lift_fresh movedim narrow new_empty new_empty_strided numpy_T permute
_nnpack_available _reshape_alias reshape reshape_as resize_ resolve_conj resolve_neg result_type select set_ slice
split split_with_sizes squeeze squeeze_ swapaxes swapdims t t_ tensor_split to transpose transpose_ type_as unbind
unflatten unfold unsafe_chunk unsafe_split _unsafe_view unsqueeze unsqueeze_ view view_as

"""
_WEIGHTLESS = frozenset(_NAMES.split())


class Unit(NamedTuple):
    """One operator that computes, and the outermost one that it runs for."""

    event: Any
    root: Any


def units(events: Iterable[Any]) -> Iterator[Unit]:
    """The units among torch's events, each once, in no order."""
    for event in events:
        if event.cpu_parent is None and event.device_type.name == "CPU":
            yield from _below(event, None)


def outermost(event: Any) -> Any:
    """The outermost operator that an event is part of: itself, where it is part of none."""
    found = event
    while event is not None:
        found = event if _is_operator(event) else found
        event = event.cpu_parent
    return found


def short(name: str) -> str:
    """``aten::copy_`` -> ``copy_``: torch's own names need no namespace."""
    return name.removeprefix("aten::")


def _below(event: Any, root: Any) -> Iterator[Unit]:
    if _is_operator(event):
        root = root or event
        if _computes(event.name):
            yield Unit(event, root)
            return
    inside = [unit for child in event.cpu_children for unit in _below(child, root)]
    if inside:
        yield from inside
    elif _is_operator(event) and short(event.name) not in _WEIGHTLESS:
        yield Unit(event, root)


def _is_operator(event: Any) -> bool:
    """Whether it is an operator; other events are the driver's own work, or a region that somebody named."""
    return "::" in event.name


@cache
def _computes(name: str) -> bool:
    """Whether torch has code of its own for it on the processor, rather than putting it together of others."""
    import torch  # noqa: PLC0415 - its events are here already

    space, _, operator = name.partition("::")
    if short(name) in _WEIGHTLESS:
        return False
    overloads = getattr(getattr(getattr(torch.ops, space, None), operator, None), "overloads", list[str])()
    return any(_on_processor(name, overload) for overload in overloads if not overload.endswith("out"))


def _on_processor(name: str, overload: str) -> bool:
    import torch  # noqa: PLC0415

    full = name if overload == "default" else f"{name}.{overload}"
    try:  # private, and what torch's own tests of dispatch ask; an operator that TorchScript alone knows raises
        return torch._C._dispatch_has_kernel_for_dispatch_key(full, "CPU")  # noqa: SLF001
    except RuntimeError:
        return False
