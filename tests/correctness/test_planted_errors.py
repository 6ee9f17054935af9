"""What parity is for: errors that leave a network running, and even its classes nearly right."""

from __future__ import annotations

import pytest
from parity_grid import DEVICE, MODELS
from planted import blue_first, layers, normalised_otherwise, scaled

from pytest_gpuperf.backends import PRECISIONS, limit_of, opened
from pytest_gpuperf.models import load
from pytest_gpuperf.parity.networks import truth_of

HERE = [p for p in PRECISIONS if limit_of("eager", p, DEVICE) is None]


@pytest.mark.parametrize("model", MODELS)
def test_any_layer_that_is_off_by_a_hundredth_is_caught_in_fp32(model):
    workload = load(model, "smoke")
    with opened(workload, 2, device=DEVICE) as network:
        images = network.fitted(workload.inputs(2, seed=1))
        truth = truth_of(network, images)
        missed = [
            layer
            for layer in layers(workload.module)
            if truth.judge(scaled(workload.module, layer).to(DEVICE)(*images)).agrees
        ]
        assert truth.judge(network(*images)).agrees
    assert len(layers(workload.module)) >= 10
    assert missed == []


@pytest.mark.parametrize("wrong", [normalised_otherwise, blue_first])
@pytest.mark.parametrize("precision", HERE)
@pytest.mark.parametrize("model", MODELS)
def test_wrong_images_are_caught_in_every_precision(model, precision, wrong):
    workload = load(model, "smoke")
    with opened(workload, 2, precision=precision, device=DEVICE) as network:
        images = workload.inputs(2, seed=1)
        truth = truth_of(network, images)
        assert truth.judge(network(*network.fitted(images))).agrees
        assert not truth.judge(network(*network.fitted(tuple(map(wrong, images))))).agrees
