"""What operators were given: types, shapes and memory formats, from the tree that torch's profiler keeps of a trace."""
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

_TYPES = {"float64": "fp64", "float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
_IMAGES = (4, 5)  # dimensions of tensors that have a memory format


class Input(NamedTuple):
    """The main input of one operator: the first of those with the most dimensions, so no bias and no scalar."""

    kind: str  # "bf16 channels_last"
    shape: str  # "8x3x224x224"


def type_name(dtype: object) -> str:
    """``torch.bfloat16`` -> ``bf16``."""
    name = str(dtype).removeprefix("torch.")
    return _TYPES.get(name, name)


def inputs_of(results: Any) -> dict[int, Input]:
    """By the number of an operator in the trace. Nothing, with a torch whose profiler keeps no such tree."""
    tree = getattr(results, "experimental_event_tree", None)
    if tree is None:
        return {}
    found: dict[int, Input] = {}
    level = list(tree())
    while level:
        node = level.pop()
        level += node.children
        if node.tag.name == "TorchOp":
            tensors = list(_tensors(node.typed[1].inputs))
            if tensors:
                main = max(tensors, key=lambda t: len(t.sizes))
                found[node.correlation_id] = Input(_kind(main), "x".join(map(str, main.sizes)) or "scalar")
    return found


def _tensors(values: Sequence[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _tensors(value)
        elif hasattr(value, "sizes") and value.dtype is not None:
            yield value


def _kind(tensor: Any) -> str:
    name = type_name(tensor.dtype)
    return f"{name} channels_last" if is_channels_last(tensor.sizes, tensor.strides) else name


def is_channels_last(sizes: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether the channels lie side by side; where both orders are one and the same (1 channel, 1 pixel), no."""
    if len(sizes) not in _IMAGES or len(strides) != len(sizes):
        return False
    pixels = [size for size in sizes[2:] if size > 1]
    return sizes[1] > 1 and bool(pixels) and strides[1] == 1 and all(stride >= sizes[1] for stride in strides[2:])
