"""What the serving suite runs over."""

from __future__ import annotations

import pytest

from pytest_gpuperf import settings_of

MODEL = "ViT-B-32"
BACKENDS = ("torch", "triton-onnx")


def pytest_generate_tests(metafunc):
    """A test that asks for a `server` runs over the back ends; a small model is another case than the full one."""
    if "server" in metafunc.fixturenames:
        metafunc.parametrize("backend", BACKENDS)
        metafunc.parametrize("scale", [settings_of(metafunc.config).scale])


@pytest.fixture
def server(request, backend, scale):
    """One server for all tests of a back end."""
    kind, _, runtime = backend.partition("-")
    return request.getfixturevalue(f"{kind}_server")(MODEL, scale=scale, runtime=runtime or "torch")


@pytest.fixture
def workload():
    """What it serves."""
    return MODEL
