"""torch.compile's back end, with a compiler that makes something heavy and nothing fast."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from examples import a_measurement
from small_net import small

from pytest_gpuperf.backends import opened
from pytest_gpuperf.measure.counting import with_compile_cost


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
        cost = network.compile_cost
        assert cost is not None
        assert (cost.graphs, cost.breaks, cost.recompiles, cost.cache) == (1, 0, 0, None)
        assert network.prepared_in > cost.ready_in >= cost.in_compiler > 0
        assert with_compile_cost(a_measurement(0), network).compile_cost == cost
        gc.collect()
        assert [pool() is not None for pool in pools] == [True]
    with opened(workload, 2, device="cpu") as eager:
        assert eager.compile_cost is None
        assert with_compile_cost(a_measurement(0), eager).compile_cost is None
    gc.collect()
    assert network is not None, "a test may hold it for longer"
    assert [pool() for pool in pools] == [None]
