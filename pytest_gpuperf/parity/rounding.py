"""What a precision costs a model at best: its arithmetic in fp64, rounded wherever the precision rounds.

A fixed tolerance is too wide for one model and too narrow for the next. The *rounded twin* of a module computes what
any correct implementation computes up to the order of its sums, for these weights and these inputs.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUntypedFunctionDecorator=false

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode  # what torch's own FLOP counter is built on
from torch.utils._pytree import tree_map_only

from pytest_gpuperf.backends.precisions import Precision

_Round = Callable[[torch.Tensor], torch.Tensor]

_PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "convolution", "linear", "matmul", "scaled_dot_product")
_LINEAR = ("mm", "addmm", "linear")
_TF32_DROPPED = 13  # of a float32's 23 bits of mantissa
_INT8_LEVELS = 127  # x86 libraries keep activations to 7 bits, lest pairs of products overflow 16


def computed_exactly(function: Callable[..., Any], inputs: tuple[torch.Tensor, ...]) -> Any:
    """A module, or a function of its inputs, in fp64."""
    with torch.inference_mode(mode=False), torch.no_grad(), _plain_attention():
        return _in_fp64(function)(*(_widened(tensor) for tensor in inputs))


def computed_rounded(function: Callable[..., Any], inputs: tuple[torch.Tensor, ...], precision: Precision) -> Any:
    """The same, rounded as a precision rounds."""
    with torch.inference_mode(mode=False), torch.no_grad(), _plain_attention():
        twin, given = _in_fp64(function), tuple(_widened(tensor) for tensor in inputs)
        if precision.weights != torch.float32:
            given = tuple(_to(tensor, precision.weights) for tensor in given)
            if isinstance(twin, torch.nn.Module):
                for tensor in [*twin.parameters(), *twin.buffers()]:
                    tensor.copy_(_to(tensor, precision.weights))
        with Rounding(precision):
            return twin(*given)


class Rounding(TorchDispatchMode):
    """Every operation's result is what the precision can hold of it; of products, so is what they are given."""

    def __init__(self, precision: Precision) -> None:
        super().__init__()
        self._precision = precision

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation, rounded."""
        name = func.overloadpacket.__name__
        before, after = _rounds(self._precision, name)
        done = func(*_mapped(before, args), **_mapped(before, kwargs or {}))
        return _mapped(after, done)


def _rounds(precision: Precision, name: str) -> tuple[_Round | None, _Round | None]:
    """What happens to the operands and to the result of an operation."""
    product = any(name.strip("_").startswith(known) for known in _PRODUCTS)
    if precision.quantised:
        return (_quantised if name in _LINEAR else None), None
    if precision.tf32:
        return (_to_tf32 if product else None), None
    # Autocast keeps some results in float32; which, depends on the device and on how a model casts by itself.
    held = precision.autocast or precision.weights
    return (lambda t: _to(t, held)) if product else None, lambda t: _to(t, held)


def _mapped(do: _Round | None, values: Any) -> Any:
    def each(tensor: torch.Tensor) -> torch.Tensor:
        return do(tensor) if do is not None and tensor.dtype == torch.float64 else tensor

    return values if do is None else tree_map_only(torch.Tensor, each, values)


def _to(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return tensor.to(dtype).to(tensor.dtype) if tensor.is_floating_point() else tensor


def _to_tf32(tensor: torch.Tensor) -> torch.Tensor:
    bits = tensor.float().view(torch.int32)
    half = 1 << (_TF32_DROPPED - 1)
    return ((bits + half) & ~((1 << _TF32_DROPPED) - 1)).view(torch.float32).double()


def _quantised(tensor: torch.Tensor) -> torch.Tensor:
    """By one scale for the whole tensor; a bias stays as it is."""
    if tensor.ndim < 2:
        return tensor
    step = (tensor.max() - tensor.min()).clamp_min(torch.finfo(torch.float32).tiny) / _INT8_LEVELS
    return (tensor / step).round() * step


def _in_fp64(function: Callable[..., Any]) -> Callable[..., Any]:
    return deepcopy(function).double() if isinstance(function, torch.nn.Module) else function


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor.clone()


@contextmanager
def _plain_attention() -> Generator[None]:
    """torch's fused attention of inference would hide its roundings in one operation."""
    mha: Any = torch.backends.mha
    before = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        mha.set_fastpath_enabled(before)
