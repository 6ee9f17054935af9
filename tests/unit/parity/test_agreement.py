"""What parity says of pairs whose answer is known."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
import torch

from pytest_gpuperf.backends import PRECISIONS, opened
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.models import Built, Workload
from pytest_gpuperf.parity import compare, compare_network
from pytest_gpuperf.parity.agreement import Truth


def double(x):
    return 2 * x


X = torch.tensor([[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, -1.0]])


def test_the_same_agrees_and_says_so():
    found = compare(double, double, X)
    assert found.agrees
    assert (found.candidate.l2, found.candidate.largest, found.candidate.angle) == (0, 0, 0)
    assert (found.top1, found.near_ties, found.nonfinite) == (1, 0, 0)
    assert found.cosine == pytest.approx(1)
    assert "agrees with its reference, as far as fp32 can" in found.message
    with pytest.raises(FrozenInstanceError):
        found.top1 = 0


def test_a_wrong_scale_turns_nothing_but_is_too_far():
    found = compare(lambda x: 2.02 * x, double, X)
    assert found.candidate.l2 == pytest.approx(0.01, rel=1e-4)
    assert found.candidate.angle < 1e-6
    assert [p.partition(":")[0] for p in found.problems] == ["worst row, l2", "worst element"]
    assert "an error of 1.00e-02" in found.message


def test_one_wrong_row_is_not_thinned_by_right_ones():
    many = X.repeat(50, 1)

    def one_wrong(x):
        out = double(x)
        out[7] = out[7].roll(1)
        return out

    found = compare(one_wrong, double, many)
    assert found.candidate.l2 > 0.3
    assert found.cosine < 0.99
    assert "top-1: another class in 1 of 100 rows, and not by a near tie" in found.problems


def test_classes_that_fp16_cannot_tell_apart_are_a_near_tie():
    close = torch.tensor([[1.0, 1.0 + 1e-5, 0.0]])
    found = compare(lambda x: x, lambda x: x * 1, close, precision="fp16")
    assert found.agrees
    assert (found.top1, found.near_ties) == (0, 1)
    assert "(and 1 near ties)" in found.message


def test_numbers_that_are_lost_are_counted_and_explained():
    lossy = compare(lambda x: torch.where(x > 3.5, torch.nan, 2 * x), double, X)
    assert lossy.nonfinite == 2
    assert lossy.problems == ("NaN or infinity in 2 of 8 elements, where fp32 has numbers",)
    beyond = compare(double, double, X * 1e4, precision="fp16")
    assert beyond.nonfinite == 2
    assert "2 of them are beyond what fp16 can hold: scale the inputs" in beyond.problems[0]


def test_what_the_reference_has_no_number_for_is_not_asked_of_the_candidate():
    assert compare(torch.sqrt, torch.sqrt, X).agrees


def test_other_shapes_are_said():
    found = compare(lambda x: x[:1], double, X)
    assert found.problems == ("its outputs have other shapes: (1, 4) instead of (2, 4)",)
    assert "none instead of" in compare(lambda _: None, double, X).message


def test_of_several_outputs_the_worst_is_told():
    found = compare(lambda x: {"a": 2 * x, "b": 3.1 * x}, lambda x: {"a": 2 * x, "b": 3 * x}, X)
    assert found.output == 1
    assert found.problems[0].startswith("output 1: worst row")


def test_a_number_alone_and_nothing_at_all_are_outputs_too():
    assert compare(torch.sum, torch.sum, X).agrees
    assert compare(double, double, torch.zeros(2, 3)).agrees
    assert not compare(lambda x: x + 1, double, torch.zeros(2, 3)).agrees


def test_a_row_of_next_to_nothing_is_measured_by_the_others():
    dark = torch.cat([X, X[:1] * 1e-9])
    assert compare(lambda x: double(x) + 1e-9, double, dark).agrees


def test_a_range_that_is_too_small_is_known():
    assert Truth.of(double, (X,), PRECISIONS["fp16"]).representable
    assert not Truth.of(double, (X * 1e4,), PRECISIONS["fp16"]).representable


def test_int8_has_one_scale_for_a_batch_and_loses_its_dark_image():
    torch.manual_seed(1)
    layers = torch.nn.Sequential(torch.nn.Linear(8, 9), torch.nn.Linear(9, 10, bias=False))
    torch.nn.init.zeros_(layers[0].bias)
    images = torch.randn(2, 8)
    images[0] *= 1e-5
    with opened(
        Workload("dark", "smoke", Built(layers, lambda *_: (images,))), 2, precision="int8", device="cpu"
    ) as net:
        found = compare_network(net, images)
    assert (found.top1, found.near_ties) == (0.5, 1)
    assert found.agrees, found.message


class RecordsTf32(torch.nn.Module):
    """Notes what torch allows whenever it is called with what it is timed with; the exact runs are in fp64."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        if x.dtype != torch.float64:
            self.seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
        return 2 * x

    def __deepcopy__(self, memo):
        return self


@pytest.mark.parametrize(
    ("precision", "candidates", "said"),
    [
        ("fp32", (False, False), "torch's TF32: off for both"),
        ("bf16", (False, False), "torch's TF32: off for both"),
        ("tf32", (True, True), "torch's TF32: on for the candidate alone"),
    ],
)
def test_tf32_is_the_same_for_both_unless_the_precision_is_that(precision, candidates, said):
    candidate, reference = RecordsTf32(), RecordsTf32()
    before = torch.backends.cudnn.allow_tf32
    assert before  # torch's own choice for convolutions
    found = compare(candidate, reference, X, precision=precision)
    assert candidate.seen == [candidates]
    assert reference.seen == [(False, False)]
    assert said in found.message
    assert torch.backends.cudnn.allow_tf32 == before


def test_a_module_is_left_as_it_was():
    torch.manual_seed(0)
    module = torch.nn.Linear(4, 3)
    before = module.weight.clone()
    indices = torch.tensor([1, 2])
    assert compare(module, module, X).agrees
    assert module.weight.dtype == torch.float32
    assert torch.equal(module.weight, before)
    table = torch.nn.Embedding(5, 3)
    assert compare(table, table, indices).agrees


def test_a_reference_that_cannot_be_exact_asks_for_one_that_can():
    weight = torch.ones(4, 3)

    def multiply(x):
        return x @ weight

    with pytest.raises(UsageError, match="could not be run in fp64"):
        compare(multiply, multiply, X)
    assert compare(multiply, multiply, X, exact=lambda x: x @ weight.double()).agrees
