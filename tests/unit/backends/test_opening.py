"""Every back end that runs here computes what the eager float32 module computes."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from small_net import TwoHeads, small

from pytest_gpuperf.backends import PRECISIONS, limit_of, names, opened
from pytest_gpuperf.errors import MissingError
from pytest_gpuperf.measure.find_tensors import find_tensors

HERE = [n for n in names() if not n.startswith("compile-") and limit_of(n, "fp32", "cpu") is None]
COARSE = {"fp32": 1e-5, "fp16": 1e-2, "autocast_fp16": 1e-2, "bf16": 5e-2, "autocast_bf16": 5e-2, "int8": 5e-2}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("backend", HERE)
def test_what_it_computes_is_the_models(backend, precision):
    if limit_of(backend, precision, "cpu") is not None:
        with pytest.raises(MissingError, match="small: "):
            opened(small(), 3, backend=backend, precision=precision, device="cpu")
        return
    workload = small()
    with opened(workload, 3, backend=backend, precision=precision, device="cpu") as network:
        outputs = network(*network.inputs)
        expected = workload.module(*workload.inputs(3))
        assert (outputs.float() - expected).abs().max() <= COARSE[precision] * expected.abs().max()
        assert network.prepared_in > 0
        assert (network.items, network.flops) == (3, workload.flops(3))
        assert (network.ceiling() is None) == (precision == "int8")


@pytest.mark.parametrize("backend", HERE)
def test_other_inputs_of_the_batch_are_taken(backend):
    workload = small()
    with opened(workload, 3, backend=backend, device="cpu") as network:
        network(*network.inputs)
        others = network.fitted(workload.inputs(3, seed=1))
        outputs = network(*others).clone()
        assert torch.allclose(outputs, workload.module(*others), atol=1e-5)
        assert not torch.allclose(outputs, network(*network.inputs), atol=1e-5)


def test_inputs_are_as_the_precision_takes_them_and_indices_stay_indices():
    with opened(small(), 2, precision="fp16", device="cpu") as network:
        assert network.inputs[0].dtype == torch.float16
        assert network.fitted((torch.arange(3),))[0].dtype == torch.int64


def test_the_workload_is_not_changed():
    workload = small()
    before = deepcopy(workload.module.state_dict())
    for precision in ("fp16", "int8"):
        with opened(workload, 1, precision=precision, device="cpu"):
            pass
    after = workload.module.state_dict()
    assert all(after[name].dtype == t.dtype and torch.equal(after[name], t) for name, t in before.items())


def test_inference_mode_holds_as_long_as_it_is_open():
    with opened(small(), 1, device="cpu") as network:
        assert network(*network.inputs).is_inference()
    assert not torch.is_inference_mode_enabled()


def test_what_is_risky_is_reachable_all_the_same():
    with opened(small(), 1, backend="torchscript", precision="autocast_fp16", device="cpu") as network:
        assert network(*network.inputs).dtype == torch.float16


@pytest.mark.parametrize("backend", HERE)
def test_evidence_finds_what_runs_and_not_what_it_was_made_from(backend):
    workload = small()
    with opened(workload, 2, backend=backend, device="cpu") as network:
        network(*network.inputs)
        reached = find_tensors(network)
        own = {"torchscript": 0, "onnxruntime": 0}  # their weights are constants of the graph
        assert reached.parameter_bytes in {own.get(backend, workload.parameter_bytes), workload.parameter_bytes + 40}
        assert set(reached.parameters) <= {"cpu"}
        assert (reached.placement is None) == (backend != "onnxruntime")


def test_a_model_may_give_several_tensors():
    workload = small(TwoHeads)
    for backend in ("eager", "torchscript", "onnxruntime"):
        with opened(workload, 2, backend=backend, device="cpu") as network:
            one, two = network(*network.inputs)
            assert torch.equal(two, one * 2)
