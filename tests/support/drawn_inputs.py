"""Inputs as users never send them on purpose: hypothesis draws the batch, the seed, the scale and what is odd."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from hypothesis import strategies as st

from pytest_gpuperf.models import Workload

KINDS = ("ordinary", "constant", "zero", "denormals", "one bright pixel", "one of the batch dark", "spikes")

SCALES = (0.01, 0.3, 1.0, 3.0, 30.0, 1000.0)


@dataclass(frozen=True)
class Drawn:
    batch: int
    seed: int
    scale: float
    kind: str

    def of(self, workload: Workload) -> tuple[torch.Tensor, ...]:
        return tuple(self._odd(tensor * self.scale) for tensor in workload.inputs(self.batch, self.seed))

    def _odd(self, images: torch.Tensor) -> torch.Tensor:
        images = images.clone()
        if self.kind == "constant":
            images[:] = images[:, :, :1, :1]
        elif self.kind == "zero":
            images.zero_()
        elif self.kind == "denormals":
            images *= 1e-41
        elif self.kind == "one bright pixel":
            images[:, :, 0, 0] = 50 * self.scale
        elif self.kind == "one of the batch dark":
            images[0] *= 1e-4
        elif self.kind == "spikes":
            images[:, :, ::7, ::5] *= 20
        return images


def drawn(batches=(1, 2, 3, 4), scales=SCALES):
    return st.builds(
        Drawn,
        batch=st.sampled_from(batches),
        seed=st.integers(2, 10_000),
        scale=st.sampled_from(scales),
        kind=st.sampled_from(KINDS),
    )
