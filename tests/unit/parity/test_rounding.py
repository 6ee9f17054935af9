"""The rounded twin costs what the precision costs."""

from __future__ import annotations

import pytest
import torch
from small_net import small

from pytest_gpuperf.backends import PRECISIONS, opened
from pytest_gpuperf.parity import compare_network
from pytest_gpuperf.parity.rounding import computed_exactly, computed_rounded

HERE = [name for name in PRECISIONS if name != "tf32"]


def rounded(function, precision, *inputs):
    return computed_rounded(function, inputs, PRECISIONS[precision])


@pytest.mark.parametrize("precision", HERE)
def test_its_error_is_that_of_a_real_network(precision):
    with opened(small(), 16, precision=precision, device="cpu") as network:
        found = compare_network(network)
    assert found.agrees
    if precision != "fp32":  # which is better than its steps: sums are kept in registers
        assert found.rounding.l2 / 3 < found.candidate.l2 < found.rounding.l2 * 1.5


def test_each_result_is_one_that_the_precision_can_hold():
    x = torch.tensor([[1 / 3, 70000.0]])
    assert rounded(lambda t: t + 0, "fp16", x).tolist() == [[torch.tensor(1 / 3).half().item(), float("inf")]]
    assert rounded(lambda t: t + 0, "bf16", x).tolist() == x.bfloat16().double().tolist()


def test_tf32_keeps_ten_bits_of_what_it_multiplies_and_nothing_else():
    x = torch.tensor([[1 + 2**-10, 1 + 2**-11 + 2**-20], [1 + 2**-12, 0.0]])
    one = torch.eye(2, dtype=torch.float64)
    kept = rounded(lambda t: t @ one, "tf32", x)
    assert kept.tolist() == [[1 + 2**-10, 1 + 2**-10], [1.0, 0.0]]
    assert torch.equal(rounded(lambda t: t + 0, "tf32", x), x.double())


def test_int8_has_so_many_levels_in_a_linear_layer_only():
    x = torch.linspace(-1, 1, 1000)[:, None]
    one = torch.ones(1, 1, dtype=torch.float64)
    assert 100 < len(set(rounded(lambda t: torch.mm(t, one), "int8", x).flatten().tolist())) <= 129
    assert torch.equal(rounded(lambda t: t * 1, "int8", x), x.double())


def test_exact_is_fp64_and_indices_stay_indices():
    assert computed_exactly(lambda x, i: x[i] / 3, (torch.ones(2), torch.tensor([0]))).tolist() == [1 / 3]
    with torch.inference_mode():
        assert computed_exactly(lambda x: x / 3, (torch.ones(1),)).tolist() == [1 / 3]


def test_attention_is_put_back():
    before = torch.backends.mha.get_fastpath_enabled()
    computed_exactly(lambda x: x, (torch.ones(1),))
    assert torch.backends.mha.get_fastpath_enabled() == before
