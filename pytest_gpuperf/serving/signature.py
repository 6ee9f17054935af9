"""What goes into a served model and what comes out: names, types and shapes without the batch."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.models.workload import Workload

_BATCH = 2  # of one item, a dimension of size one could be anything
DATATYPES: dict[torch.dtype, str] = {  # as KServe names them
    torch.float32: "FP32",
    torch.float16: "FP16",
    torch.float64: "FP64",
    torch.int64: "INT64",
    torch.int32: "INT32",
    torch.int16: "INT16",
    torch.int8: "INT8",
    torch.uint8: "UINT8",
    torch.bool: "BOOL",
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output."""

    name: str
    datatype: str  # as KServe names it: FP32
    shape: tuple[int, ...]  # of one item

    def batched(self, batch: int) -> list[int]:
        """The shape of a batch."""
        return [batch, *self.shape]


@dataclass(frozen=True, slots=True)
class Signature:
    """All of a model's tensors, in the order of its arguments and of what it gives."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def flat(given: Any) -> tuple[torch.Tensor, ...]:
    """What a module gives, as tensors."""
    if isinstance(given, torch.Tensor):
        return (given,)
    if isinstance(given, tuple | list) and all(isinstance(one, torch.Tensor) for one in given):
        return tuple(given)
    raise UsageError(
        f"A served model gives one tensor or a tuple of them; this one gives {type(given).__name__}. "
        f"Wrap the module in one that picks its tensors."
    )


def signature_of(workload: Workload, weights: torch.dtype) -> Signature:
    """Found on the meta device, where nothing is computed; floating-point tensors travel in the weights' type."""
    inputs = workload.inputs(_BATCH)
    with torch.no_grad():
        meta = deepcopy(workload.module).to("meta")
        try:
            given = meta(*(t.to("meta") for t in inputs))
        except (RuntimeError, NotImplementedError):  # it looks at a value, which the meta device has not
            given = workload.module(*inputs)
        outputs = flat(given)
    return Signature(_named("input", inputs, weights, workload.name), _named("output", outputs, weights, workload.name))


def _named(word: str, tensors: Sequence[torch.Tensor], weights: torch.dtype, model: str) -> tuple[Tensor, ...]:
    described: list[Tensor] = []
    for index, tensor in enumerate(tensors):
        dtype = weights if tensor.is_floating_point() else tensor.dtype
        if tensor.ndim == 0 or tensor.shape[0] != _BATCH or dtype not in DATATYPES:
            raise UsageError(
                f"{model}: {word} {index} is {list(tensor.shape)} of {dtype} for a batch of {_BATCH}. A served model's "
                f"tensors have the batch first and one of the types {', '.join(DATATYPES.values())}."
            )
        described.append(Tensor(f"{word}_{index}", DATATYPES[dtype], tuple(tensor.shape[1:])))
    return tuple(described)
