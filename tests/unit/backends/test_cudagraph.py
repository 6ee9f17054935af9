"""The back end "cudagraph" on the processor, with a graph that knows addresses and keeps nothing alive, as CUDA's."""

from __future__ import annotations

import gc
import weakref
from contextlib import contextmanager, nullcontext
from copy import deepcopy

import pytest
import torch
from small_net import TwoHeads, small
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_gpuperf.backends import opened
from pytest_gpuperf.backends.backend import Job
from pytest_gpuperf.backends.cudagraph import CudaGraph
from pytest_gpuperf.backends.precisions import precision_of
from pytest_gpuperf.measure.find_tensors import find_tensors

CPU = torch.device("cpu")


class Address:
    """Where a tensor is; whoever reads there after the tensor is gone reads what others wrote."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor = weakref.ref(tensor)

    def read(self) -> torch.Tensor:
        tensor = self._tensor()
        assert tensor is not None, "the graph reads memory that was given back"
        return tensor


class Graph(TorchDispatchMode):
    """Records operations while it is entered and runs them again; keeps only what they made, in its own pool."""

    def __init__(self) -> None:
        super().__init__()
        self._recorded = []
        self._pool = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        own = {id(tensor) for tensor in self._pool}
        addressed = [Address(a) if isinstance(a, torch.Tensor) and id(a) not in own else a for a in args]
        self._recorded.append((function, addressed, kwargs or {}, made))
        self._pool += [made] if isinstance(made, torch.Tensor) else list(made)
        return made

    def replay(self) -> None:
        assert self._recorded, "replay without a capture"
        for function, args, kwargs, made in self._recorded:
            again = function(*(a.read() if isinstance(a, Address) else a for a in args), **kwargs)
            for place, tensor in zip(*((t if isinstance(t, tuple) else (t,)) for t in (made, again)), strict=True):
                place.copy_(tensor)

    def reset(self) -> None:
        self._recorded, self._pool = [], []


class Stream:
    def __init__(self, device: torch.device) -> None:
        self.device = device

    def wait_stream(self, other: Stream) -> None:
        assert other.device == self.device


@contextmanager
def capturing(graph: Graph):
    with graph:
        yield


@pytest.fixture(autouse=True)
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capturing)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    # The table of limits refuses it on a processor.
    monkeypatch.setattr("pytest_gpuperf.backends.opening.why_not", lambda *_: None)


def test_what_it_computes_is_the_models() -> None:
    workload = small()
    with opened(workload, 3, backend="cudagraph", device="cpu") as network:
        gc.collect()
        outputs = network(*network.inputs)
        assert torch.allclose(outputs, workload.module(*workload.inputs(3)), atol=1e-6)
        others = workload.inputs(3, seed=1)
        assert network(*others) is outputs
        assert torch.allclose(outputs, workload.module(*others), atol=1e-6)


def test_a_model_may_give_several_tensors() -> None:
    with opened(small(TwoHeads), 2, backend="cudagraph", device="cpu") as network:
        one, two = network(*network.inputs)
        assert torch.equal(two, one * 2)


@pytest.mark.parametrize("precision", ["fp32", "autocast_bf16"])
def test_the_weights_live_as_long_as_the_call_and_evidence_finds_them(precision: str) -> None:
    workload = small()
    module = deepcopy(workload.module)
    weights = weakref.ref(next(module.parameters()))
    made = CudaGraph().make(Job(module, workload.inputs(2), precision_of(precision), CPU))
    del module
    gc.collect()
    assert weights() is not None
    run = made.run
    buffers = 40  # of its batch normalisation
    assert find_tensors(lambda: run(*workload.inputs(2))).parameters == {"cpu": workload.parameter_bytes + buffers}


def test_closing_gives_back_weights_and_outputs_whoever_holds_the_call() -> None:
    workload = small()
    module = deepcopy(workload.module)
    inputs = workload.inputs(2)
    made = CudaGraph().make(Job(module, inputs, precision_of("fp32"), CPU))
    with torch.inference_mode():
        held = [weakref.ref(next(module.parameters())), weakref.ref(made.run(*inputs))]
    del module
    made.close()
    gc.collect()
    assert [h() for h in held] == [None, None]
    assert find_tensors(made.run).parameter_bytes == 0
    with pytest.raises(AssertionError, match="without a capture"):
        made.run(*inputs)
