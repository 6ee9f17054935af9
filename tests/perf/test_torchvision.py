"""Small torchvision models with random weights: what `make perf` measures."""

from __future__ import annotations

import pytest
import torch
import torchvision

from pytest_gpuperf import GiB

pytestmark = [pytest.mark.gpu, pytest.mark.quick]


@pytest.fixture
def inference():
    """Workloads run as given: what autograd would add is the test's choice, not the plugin's."""
    with torch.inference_mode():
        yield


@pytest.mark.usefixtures("inference")
def test_fp32_eager(gpuperf, model, batch):
    torch.manual_seed(0)
    network = torchvision.models.get_model(model, weights=None).eval().to(gpuperf.device)
    images = torch.randn(batch, 3, 64, 64, device=gpuperf.device)

    measured = gpuperf(network, images, items=batch)

    assert measured.peak_memory is None or measured.peak_memory < 4 * GiB
