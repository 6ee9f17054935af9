"""Whether two ways to compute the same thing agree, as far as their precisions can::

found = compare(model_in_fp16, model, images, precision="fp16")
assert found.agrees, found.message
"""

from __future__ import annotations

from torch import Tensor  # what a plugin that must not import torch annotates with

from pytest_gpuperf.parity.agreement import compare
from pytest_gpuperf.parity.networks import compare_network
from pytest_gpuperf.parity.record import Distance, Parity

__all__ = ["Distance", "Parity", "Tensor", "compare", "compare_network"]
