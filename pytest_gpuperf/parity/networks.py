"""A workload as a back end runs it, beside the model it was made from."""

from __future__ import annotations

from copy import deepcopy

import torch

from pytest_gpuperf.backends import Opened
from pytest_gpuperf.parity.agreement import Parity, Truth


def compare_network(network: Opened, *inputs: torch.Tensor) -> Parity:
    """Of inputs in fp32, and of the network's batch; without any, of the model's own for another seed.

    Not of those it was prepared with: a trace that held on to them would be right on them alone.
    """
    given = inputs or network.workload.inputs(network.batch, seed=1)
    return truth_of(network, given).judge(network(*network.fitted(given)))


def truth_of(network: Opened, inputs: tuple[torch.Tensor, ...]) -> Truth:
    """What is right, as the network's own device computes it."""
    module = network.workload.module
    if network.device.type != "cpu":  # pragma: no cover - needs a GPU
        module = deepcopy(module).to(network.device)
    there = tuple(tensor.to(network.device) for tensor in inputs)
    return Truth.of(module, there, network.precision)
