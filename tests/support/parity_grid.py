"""What the parity suite runs over: every model x back end x precision that this machine can run."""

from __future__ import annotations

import os

import pytest
import torch
from hypothesis import HealthCheck, settings

from pytest_gpuperf.backends import PRECISIONS, limit_of, names

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MODELS = ("resnet50", "vit_b_16", "convnext_tiny", "ViT-B-32")

# An example is a network's run in fp32, in fp64, and rounded.
EXAMPLES = settings(
    max_examples=int(os.environ.get("PARITY_EXAMPLES", "3")),
    deadline=None,
    derandomize="PARITY_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def _models(backend: str) -> tuple[str, ...]:
    """Every model eagerly, where only the precision can be wrong; two families through every other back end."""
    if backend == "eager":
        return MODELS
    # A processor's compiler takes half a minute for one of them.
    return ("small",) if backend == "compile" and DEVICE == "cpu" else MODELS[:2]


PAIRS = [
    pytest.param(model, backend, precision, id=f"{model}-{backend}-{precision}")
    for backend in names()
    if not (backend.startswith("compile-") and DEVICE == "cpu")  # on a processor its modes are all the same
    for model in _models(backend)
    for precision in PRECISIONS
    if limit_of(backend, precision, DEVICE) is None
]
