"""From a workload, a back end and a precision to something that can be called, and measured."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch

from pytest_gpuperf.backends.backend import Job, Made
from pytest_gpuperf.backends.ceiling import ceiling
from pytest_gpuperf.backends.placement import Placement
from pytest_gpuperf.backends.precisions import Precision, arithmetic, precision_of
from pytest_gpuperf.backends.registry import backend_of, why_not
from pytest_gpuperf.errors import MissingError
from pytest_gpuperf.models.workload import Workload
from pytest_gpuperf.records.compile_cost import CompileCost
from pytest_gpuperf.records.model import Ceiling


@dataclass(frozen=True, slots=True)
class Opened:
    """A workload as one back end runs it in one precision: call it with its inputs."""

    workload: Workload
    batch: int
    backend: str
    precision: Precision
    device: torch.device
    inputs: tuple[torch.Tensor, ...]
    prepared_in: float  # seconds to trace, compile, export or capture, and for the first calls that belong to that
    made: Made

    @property
    def __wrapped__(self) -> object:
        """What runs: where evidence looks for parameters, instead of at the model it was made from."""
        return self.made.run

    @property
    def items(self) -> int:
        """Items one call handles."""
        return self.workload.items(self.batch)

    @property
    def flops(self) -> int:
        """Floating-point operations of one call, counted on the eager model."""
        return self.workload.flops(self.batch)

    def ceiling(self) -> Ceiling | None:
        """What the device can do in this precision: the best that this process has measured."""
        return ceiling(self.precision, self.device)

    def __call__(self, *inputs: torch.Tensor) -> Any:
        """Run it on inputs that are where, and of the type, that `fitted` brings them to."""
        return self.made.run(*inputs)

    def fitted(self, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """Other inputs, as this one takes them."""
        return _fitted(inputs, self.precision, self.device)

    @property
    def compile_cost(self) -> CompileCost | None:
        """What torch.compile took; None of a back end that does not use it."""
        return self.made.compile_cost

    @property
    def placement(self) -> Placement | None:
        """Which processor the back end gave which operators to; None where it does not say."""
        return self.made.placement


def opened(
    workload: Workload, batch: int, *, backend: str = "eager", precision: str = "fp32", device: str | torch.device
) -> AbstractContextManager[Opened]:
    """Prepare a workload to be run; inference mode, and TF32 as the precision says, hold as long as it is open.

    Raises `MissingError` with the reason where it cannot run here. The workload's own module is not changed.
    """
    reason = why_not(backend, precision, device)
    if reason is not None:
        raise MissingError(f"{workload.name}: {reason}")
    return _open(workload, batch, backend, precision_of(precision), torch.device(device))


@contextmanager
def _open(
    workload: Workload, batch: int, backend: str, precision: Precision, device: torch.device
) -> Generator[Opened]:
    with arithmetic(precision):
        start = perf_counter()
        inputs = _fitted(workload.inputs(batch), precision, device)
        with torch.no_grad():
            made = backend_of(backend).make(Job(deepcopy(workload.module), inputs, precision, device))
        try:
            with torch.inference_mode():
                yield Opened(workload, batch, backend, precision, device, inputs, perf_counter() - start, made)
        finally:
            made.close()


def _fitted(inputs: tuple[torch.Tensor, ...], precision: Precision, device: torch.device) -> tuple[torch.Tensor, ...]:
    return tuple(
        tensor.to(device=device, dtype=precision.weights if tensor.is_floating_point() else None) for tensor in inputs
    )
