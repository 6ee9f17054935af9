"""Errors as they are made: a layer that is off by a hundredth, a wrong normalisation, channels in another order."""

from __future__ import annotations

from copy import deepcopy

import torch

# What ImageNet's models are given, and what others are.
MEAN, SPREAD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def layers(module: torch.nn.Module) -> list[str]:
    """The layers that have a matrix."""
    found = [(name, getattr(layer, "weight", None)) for name, layer in module.named_modules()]
    return [name for name, weight in found if isinstance(weight, torch.Tensor) and weight.ndim >= 2]


def scaled(module: torch.nn.Module, layer: str, factor: float = 1.01) -> torch.nn.Module:
    wrong = deepcopy(module)
    with torch.no_grad():
        wrong.get_submodule(layer).weight.mul_(factor)
    return wrong


def normalised_otherwise(images: torch.Tensor) -> torch.Tensor:
    """Half and half, as Inception was trained, instead of ImageNet's figures."""
    mean, spread = (t.to(images)[:, None, None] for t in (MEAN, SPREAD))
    return (images * spread + mean - 0.5) / 0.5


def blue_first(images: torch.Tensor) -> torch.Tensor:
    """As OpenCV reads them."""
    return images.flip(1)
