"""Whether two ways to compute the same thing agree, as far as their precisions can::

found = compare(model_in_fp16, model, images, precision="fp16")
assert found.agrees, found.message
"""

from __future__ import annotations

from torch import Tensor  # what a plugin that must not import torch annotates with

from pytest_gpuperf.parity.agreement import Distance, Parity, compare
from pytest_gpuperf.parity.networks import compare_network

__all__ = ["Distance", "Parity", "Tensor", "compare", "compare_network"]
