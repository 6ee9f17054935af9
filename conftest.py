"""The performance suite's shared parametrization."""

from __future__ import annotations

import pytest

QUICK_MODELS = ("resnet18", "mobilenet_v3_small", "squeezenet1_1")
QUICK_BATCHES = (1, 4)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `model` and `batch` runs over both."""
    if {"model", "batch"} <= set(metafunc.fixturenames):
        metafunc.parametrize("batch", QUICK_BATCHES)
        metafunc.parametrize("model", QUICK_MODELS)
