"""A network small enough to be traced, exported and compiled in a moment, with every kind of layer that matters."""

from __future__ import annotations

import torch

from pytest_gpuperf.models import Built, Workload


class SmallNet(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 4, 3, stride=2)
        self.norm = torch.nn.BatchNorm2d(4)
        self.head = torch.nn.Linear(4, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        seen = torch.relu(self.norm(self.convolution(images)))
        return self.head(seen.mean((2, 3)))


class TwoHeads(SmallNet):
    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen = super().forward(images)
        return seen, seen * 2


def draw(batch: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    return (torch.randn(batch, 3, 8, 8, generator=generator),)


def small(kind: type[torch.nn.Module] = SmallNet, seed: int = 0) -> Workload:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = kind().eval()
    return Workload("small", "smoke", Built(module, draw))
