"""The precisions: what they make of a model's weights, and of the arithmetic around them."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch

from pytest_gpuperf.errors import UsageError


@dataclass(frozen=True, slots=True)
class Precision:
    """One level of precision."""

    name: str
    weights: torch.dtype = torch.float32  # and the inputs
    autocast: torch.dtype | None = None  # of the operations torch casts by itself
    tf32: bool = False  # lets float32 products lose 13 bits of their mantissa
    quantised: bool = False  # linear layers hold int8 weights, and quantise what they are given

    @property
    def computes_in(self) -> torch.dtype:
        """What most of its products are computed in."""
        return torch.int8 if self.quantised else self.autocast or self.weights


PRECISIONS = {
    p.name: p
    for p in (
        Precision("fp32"),
        Precision("tf32", tf32=True),
        Precision("fp16", weights=torch.float16),
        Precision("bf16", weights=torch.bfloat16),
        Precision("autocast_fp16", autocast=torch.float16),
        Precision("autocast_bf16", autocast=torch.bfloat16),
        Precision("int8", quantised=True),
    )
}


def precision_of(name: str) -> Precision:
    """A precision by its name."""
    if name not in PRECISIONS:
        raise UsageError(f"There is no precision {name!r}. The precisions are: {', '.join(PRECISIONS)}.")
    return PRECISIONS[name]


def lower(module: torch.nn.Module, precision: Precision, device: torch.device) -> torch.nn.Module:
    """Make a module compute in a precision. It is changed in place where that is what the precision means."""
    if precision.quantised:
        return _quantised(module)
    module = module.to(device=device, dtype=precision.weights)
    return module if precision.autocast is None else Autocast(module, device.type, precision.autocast)


class Autocast(torch.nn.Module):
    """A module whose every call casts anew, as a request to a server does: no cast outlives a call."""

    def __init__(self, module: torch.nn.Module, device: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.module = module
        self._device, self._dtype = device, dtype

    def forward(self, *inputs: torch.Tensor) -> Any:
        """Call it under autocast."""
        # Without its cache: a trace must hold every cast, and a call must pay for them.
        with torch.autocast(self._device, self._dtype, cache_enabled=False):
            return self.module(*inputs)


def _quantised(module: torch.nn.Module) -> torch.nn.Module:
    quantization: Any = import_module("torch.ao.quantization")  # slow to import, and going away

    with warnings.catch_warnings():
        # torch announces the end of this module without shipping its successor (torchao is another package).
        warnings.filterwarnings("ignore", "torch.ao.quantization is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
        quantised: torch.nn.Module = quantization.quantize_dynamic(module, {torch.nn.Linear}, dtype=torch.qint8)
    return quantised


@contextmanager
def arithmetic(precision: Precision) -> Generator[None]:
    """Allow TF32, or forbid it, for as long as this lasts: a setting of the process, put back afterwards.

    From torch 2.9 on there are two sets of switches, and reading an older one raises where a newer one says otherwise.
    Both are set: kernels go by the newer ones, and inductor reads the older ones.
    """
    before = {switch: str(switch.fp32_precision) for switch in _newer_switches()}
    with _without_deprecations():
        older = _older_switches(tuple(before))
        _set_older_switches("high" if precision.tf32 else "highest", precision.tf32)
        for switch in before:
            switch.fp32_precision = "tf32" if precision.tf32 else "ieee"
    try:
        yield
    finally:
        with _without_deprecations():
            _set_older_switches(*older)
        for switch, value in before.items():
            switch.fp32_precision = "none"  # what it inherits it keeps inheriting
            if switch.fp32_precision != value:
                switch.fp32_precision = value


def _newer_switches() -> tuple[Any, ...]:
    """What holds `fp32_precision` of each kind of product; nothing before torch 2.9."""
    backends: Any = torch.backends
    if not hasattr(backends.cuda.matmul, "fp32_precision"):
        return ()
    return backends.cuda.matmul, backends.mkldnn.matmul, backends.cudnn.conv, backends.cudnn.rnn


def _older_switches(newer: tuple[Any, ...]) -> tuple[str, bool]:
    """The precision of products, and whether cuDNN may use TF32, by their older names; changes the newer ones."""
    for switch in newer:
        switch.fp32_precision = "ieee"  # beside it products can always be read, and cuDNN's switch where it is off
    products = torch.get_float32_matmul_precision()
    try:
        return products, bool(torch.backends.cudnn.allow_tf32)
    except RuntimeError:  # it can be read only where it is off
        return products, True


def _set_older_switches(products: str, cudnn: bool) -> None:
    torch.set_float32_matmul_precision(products)
    torch.backends.cudnn.allow_tf32 = cudnn


@contextmanager
def _without_deprecations() -> Generator[None]:
    """torch 2.9 warns once of its older switches, which would be an error under ``-W error``."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Please use the new API settings to control TF32", UserWarning)
        yield
