from __future__ import annotations

import pytest
import torch
from small_net import small

from pytest_gpuperf.backends import opened


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def test_a_session_takes_any_batch():
    workload = small()
    with opened(workload, 2, backend="onnxruntime", device="cpu") as network:
        for batch in (1, 7, 2):
            inputs = workload.inputs(batch, seed=batch)
            assert torch.allclose(network(*inputs), workload.module(*inputs), atol=1e-5)


def test_new_values_in_the_same_memory_are_seen():
    workload = small()
    with opened(workload, 2, backend="onnxruntime", device="cpu") as network:
        (images,) = (t.clone() for t in network.inputs)
        before = network(images).clone()
        images.mul_(2)
        assert not torch.equal(network(images), before)
        assert torch.allclose(network(images), workload.module(images), atol=1e-5)


def test_new_values_in_memory_of_another_order_are_seen():
    workload = small()
    with opened(workload, 2, backend="onnxruntime", device="cpu") as network:
        images = network.inputs[0].clone(memory_format=torch.channels_last)
        before = network(images).clone()
        images.mul_(2)
        assert torch.allclose(network(images), workload.module(images), atol=1e-5)
        assert not torch.equal(network(images), before)


def test_a_call_copies_nothing():
    with opened(small(), 2, backend="onnxruntime", device="cpu") as network:
        assert network(*network.inputs).data_ptr() == network(*network.inputs).data_ptr()
