"""A workload: a module with fixed weights, its inputs for a batch, and what one call of it counts."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

import torch
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

Scale = Literal["full", "smoke"]  # the paper's sizes; the same architecture, narrow and small, for two CPU cores
Inputs = Callable[[int, torch.Generator], tuple[torch.Tensor, ...]]


def images(side: int) -> Inputs:
    """Normalised colour images: large patches of colour with some grain.

    Images of white noise alone would look alike to a model: the average over a patch is the same everywhere.
    """

    def draw(batch: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        patches = torch.randn(batch, 3, 4, 4, generator=generator)
        grain = torch.randn(batch, 3, side, side, generator=generator)
        return (torch.nn.functional.interpolate(patches, size=(side, side), mode="bilinear") + 0.25 * grain,)

    return draw


def _one_each(batch: int) -> int:
    return batch


@dataclass(frozen=True, slots=True)
class Built:
    """What a model's function gives."""

    module: torch.nn.Module
    inputs: Inputs  # of a batch, on the processor, in float32
    items: Callable[[int], int] = _one_each  # what one call of a batch handles


@dataclass(frozen=True, slots=True)
class Workload:
    """A model as it was built. Its module is the reference of every precision: copy it before you change it."""

    name: str
    scale: Scale
    built: Built
    pretrained: bool = False
    seed: int | None = None  # of random weights; None: made by hand, so that no other process can make it by its name
    _counts: dict[int, int] = field(default_factory=dict[int, int])  # batch -> operations: counting takes a while

    @property
    def module(self) -> torch.nn.Module:
        """In eval mode, float32, on the processor."""
        return self.built.module

    def inputs(self, batch: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
        """The same for the same batch and seed, wherever they are drawn."""
        return self.built.inputs(batch, torch.Generator().manual_seed(seed))

    def items(self, batch: int) -> int:
        """Items one call handles."""
        return self.built.items(batch)

    @property
    def parameter_bytes(self) -> int:
        """Bytes of the weights in float32."""
        return sum(p.numel() * p.element_size() for p in self.module.parameters())

    def flops(self, batch: int) -> int:
        """Floating-point operations of one eager call; a multiply-add is two.

        Counted on the meta device, where nothing is computed, and with gradients on: without them torch takes fused
        attention paths that its counter does not know, and a ViT would lose a third of its work.
        """
        if batch not in self._counts:
            held = chain(self.module.named_parameters(), self.module.named_buffers())
            with torch.inference_mode(mode=False), torch.enable_grad(), FlopCounterMode(display=False) as counter:
                meta = {name: tensor.to("meta") for name, tensor in held}
                functional_call(self.module, meta, tuple(tensor.to("meta") for tensor in self.inputs(batch)))
            self._counts[batch] = counter.get_total_flops()
        return self._counts[batch]
