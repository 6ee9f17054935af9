"""The units of work on the host: what kernels are to a GPU, operators that compute are to a processor.

torch nests operators: ``conv2d`` calls ``convolution`` calls ``mkldnn_convolution``, which makes room and computes.
Counted is the outermost one that has code of its own for the processor; what only passes on, looks at the same memory
in another shape or makes room for a result is none.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportPrivateUsage=false
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

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
    """Those among torch's events, each once, in no order."""
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
    """The rest is the driver's own doing, or a region that somebody named."""
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
