from __future__ import annotations

import torch
from small_net import SmallNet, draw

from pytest_gpuperf.models.weights import awaken


def test_nothing_stays_silent():
    torch.manual_seed(0)
    net = SmallNet()
    torch.nn.init.zeros_(net.head.weight)
    torch.nn.init.zeros_(net.norm.weight)
    torch.nn.init.zeros_(net.norm.bias)
    before = net.convolution.weight.clone()
    awaken(net, draw)
    assert all(p.abs().max() > 1e-3 for p in net.parameters())
    assert torch.all(net.norm.weight > 0.05)
    assert torch.equal(net.convolution.weight, before)  # it said something already


def test_batch_norms_have_seen_images():
    torch.manual_seed(0)
    net = awaken(SmallNet(), draw)
    assert not net.norm.training
    assert net.norm.momentum == 0.1
    seen = net.convolution(draw(64, torch.Generator().manual_seed(1))[0])
    # Normalised by its statistics, what comes next is of mean 0 and variance 1.
    assert torch.allclose(seen.mean((0, 2, 3)), net.norm.running_mean, atol=0.3)
    assert torch.allclose(seen.var((0, 2, 3)), net.norm.running_var, rtol=0.5)


def test_a_model_without_batch_norms_is_not_run():
    def no_images(batch, generator):
        raise AssertionError

    layer = torch.nn.Linear(2, 2)
    assert awaken(layer, no_images) is layer
