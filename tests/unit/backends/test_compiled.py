"""torch.compile's back end, with a compiler that makes something heavy and nothing fast."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from small_net import small

from pytest_gpuperf.backends import opened


class Pool:
    """Memory that compiled code keeps for itself."""


def test_what_was_compiled_is_given_back_at_the_end_of_its_case(monkeypatch: pytest.MonkeyPatch) -> None:
    pools: list[weakref.ref[Pool]] = []

    def compiler(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]):
        pool = Pool()
        pools.append(weakref.ref(pool))

        def run(*tensors: torch.Tensor):
            assert pool
            return graph.forward(*tensors)

        return run

    compile_ = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda module, **kw: compile_(module, backend=compiler, dynamic=kw["dynamic"])
    )
    workload = small()
    with opened(workload, 2, backend="compile-reduce-overhead", device="cpu") as network:
        assert torch.allclose(network(*network.inputs), workload.module(*network.inputs))
        gc.collect()
        assert [pool() is not None for pool in pools] == [True]
    gc.collect()
    assert network is not None, "a test may hold it for longer"
    assert [pool() for pool in pools] == [None]
