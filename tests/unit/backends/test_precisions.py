from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from small_net import small

from pytest_gpuperf.backends.precisions import PRECISIONS, arithmetic, lower, precision_of
from pytest_gpuperf.errors import UsageError

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "weights"), [("fp32", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16)]
)
def test_weights_are_of_the_precision(name, weights):
    lowered = lower(deepcopy(small().module), PRECISIONS[name], CPU)
    assert {p.dtype for p in lowered.parameters()} == {weights}


@pytest.mark.parametrize(("name", "computed"), [("autocast_fp16", torch.float16), ("autocast_bf16", torch.bfloat16)])
def test_autocast_computes_low_and_keeps_its_weights(name, computed):
    workload = small()
    lowered = lower(deepcopy(workload.module), PRECISIONS[name], CPU)
    assert {p.dtype for p in lowered.parameters()} == {torch.float32}
    with torch.inference_mode():
        assert lowered(*workload.inputs(2)).dtype == computed
    assert not torch.is_autocast_enabled("cpu")


def test_int8_rounds_the_linear_layers_and_warns_nobody():
    workload = small()
    lowered = lower(deepcopy(workload.module), PRECISIONS["int8"], CPU)
    assert "quantized" in type(lowered.head).__module__
    assert not torch.equal(lowered(*workload.inputs(2)), workload.module(*workload.inputs(2)))


def test_what_a_precision_computes_in():
    assert PRECISIONS["autocast_fp16"].computes_in == torch.float16
    assert PRECISIONS["bf16"].computes_in == torch.bfloat16
    assert PRECISIONS["tf32"].computes_in == torch.float32
    assert PRECISIONS["int8"].computes_in == torch.int8


@pytest.mark.parametrize("before", [False, True])
def test_tf32_is_as_the_precision_says_and_as_it_was_afterwards(before):
    matmul, convolution = torch.backends.cuda.matmul, torch.backends.cudnn
    kept = matmul.allow_tf32, convolution.allow_tf32
    try:
        matmul.allow_tf32 = convolution.allow_tf32 = before
        for name in ("fp32", "tf32"):
            with arithmetic(PRECISIONS[name]):
                assert matmul.allow_tf32 == convolution.allow_tf32 == (name == "tf32")
            assert matmul.allow_tf32 == convolution.allow_tf32 == before
    finally:
        matmul.allow_tf32, convolution.allow_tf32 = kept


def test_an_unknown_precision_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match=r"no precision 'fp8'. The precisions are: fp32, tf32"):
        precision_of("fp8")
