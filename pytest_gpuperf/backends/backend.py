"""What a back end is, what it is given, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from pytest_gpuperf.backends.placement import Placement
from pytest_gpuperf.backends.precisions import Precision
from pytest_gpuperf.records.compile_cost import CompileCost


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be run, and where. The module is a copy: a back end may change it."""

    module: torch.nn.Module  # float32, on the processor, in eval mode
    inputs: tuple[torch.Tensor, ...]  # on the device, in the precision's type
    precision: Precision
    device: torch.device


def _nothing() -> None:
    """Most back ends hold nothing that the garbage collector cannot free."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a back end made of a job."""

    run: Callable[..., Any]  # takes tensors like the job's inputs
    placement: Placement | None = None  # which processor took which operators, where the back end knows
    compile_cost: CompileCost | None = None  # of torch.compile
    close: Callable[[], None] = _nothing


class Backend(Protocol):
    """A way to run a module."""

    @property
    def name(self) -> str:
        """As tests and baselines name it."""
        ...

    def lacks(self, device: torch.device) -> str | None:
        """What it needs and does not find here, with the command that mends it; None where it is ready."""
        ...

    def make(self, job: Job) -> Made:
        """Prepare everything that a first call would: compile, trace, export, capture."""
        ...
