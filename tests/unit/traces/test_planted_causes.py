"""Slow-downs that were planted in real models of torch are recognised by what the profiler sees of one call.

Nothing here is timed: what a processor's other work does to times must not matter to a cause that is exact.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pytest_gpuperf.causes.explain import Explanation, ProfiledSide, explain
from pytest_gpuperf.measure.find_tensors import find_tensors
from pytest_gpuperf.reports.why import sentences
from pytest_gpuperf.traces.profile import profile_of

Call = Callable[[], object]
IMAGES = torch.rand(2, 8, 24, 24)
TOKENS = torch.rand(32, 64)


def side(call: Call, seconds: float) -> ProfiledSide:
    with torch.inference_mode():
        call()
        profile = profile_of(
            call, lambda: None, cuda=False, session="s", seconds=10.0, parameters=find_tensors(call).types
        )
    return ProfiledSide(profile=profile, seconds=seconds)


def why(before: Call, after: Call) -> Explanation:
    """Of a call that became half as slow again."""
    return explain(side(before, 2e-3), side(after, 3e-3))


def structural(explanation: Explanation) -> list[str]:
    """The kinds of cause, without those that only times tell."""
    by_time = {"one kernel", "machine", "idle", "nothing"}
    return [c.kind for c in explanation.causes if c.kind not in by_time]


@pytest.fixture(scope="module")
def net() -> nn.Sequential:
    layers = (nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.BatchNorm2d(16), nn.ReLU())
    return nn.Sequential(*layers).eval()


@pytest.fixture(scope="module")
def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 64)).eval()


def test_an_extra_clone(net: nn.Sequential) -> None:
    found = why(lambda: net(IMAGES), lambda: net(IMAGES.clone()))
    assert structural(found) == ["copy"]
    assert "1 copy more: copy_ (clone)" in sentences(found)[-1] + sentences(found)[0]
    assert found.launches == (6, 7)
    assert {c.title: c.word for c in found.kernels}["copy_ (clone)"] == "appeared"


def test_a_contiguous_that_copies(mlp: nn.Sequential) -> None:
    turned = torch.rand(64, 32).t()
    found = why(lambda: mlp(TOKENS), lambda: mlp(turned.contiguous()))
    assert structural(found) == ["copy"]
    assert any("copy_ (contiguous)" in sentence for sentence in sentences(found))


def test_a_lost_fusion_of_attention() -> None:
    q = torch.rand(2, 4, 32, 16)
    found = why(
        lambda: functional.scaled_dot_product_attention(q, q, q),
        lambda: torch.softmax(q @ q.transpose(-1, -2) * 0.25, -1) @ q,
    )
    assert structural(found)[0] == "fusion"
    lost = next(s for s in sentences(found) if s.startswith("a fusion was lost"))
    assert "_softmax (softmax)" in lost
    assert "instead of _scaled_dot_product" in lost


def test_batch_norms_that_are_not_folded_any_more(net: nn.Sequential) -> None:
    folded = nn.Sequential(
        *(fuse_conv_bn_eval(net[0], net[1]), nn.ReLU(), fuse_conv_bn_eval(net[3], net[4]), nn.ReLU())
    )
    found = why(lambda: folded(IMAGES), lambda: net(IMAGES))
    assert structural(found) == ["fusion"]
    assert any("native_batch_norm (batch_norm) x2" in sentence for sentence in sentences(found))


def test_channels_last_lost(net: nn.Sequential) -> None:
    last = copy.deepcopy(net).to(memory_format=torch.channels_last)
    images = IMAGES.to(memory_format=torch.channels_last)
    found = why(lambda: last(images), lambda: net(IMAGES))
    assert structural(found)[0] == "memory format"
    assert any(s.startswith("contiguous instead of channels_last memory: 100% -> 0%") for s in sentences(found))


def test_fp32_in_place_of_bf16(mlp: nn.Sequential) -> None:
    half, tokens = copy.deepcopy(mlp).bfloat16(), TOKENS.bfloat16()
    found = why(lambda: half(tokens), lambda: mlp(TOKENS))
    assert structural(found)[0] == "precision"
    (told,) = [s for s in sentences(found) if s.startswith("fp32 instead of bf16 in 2 of 2 products")]
    assert "bf16 -> " in told  # the parameters


def test_autocast_lost(mlp: nn.Sequential) -> None:
    def half() -> object:
        with torch.autocast("cpu", torch.bfloat16):
            return mlp(TOKENS)

    found = why(half, lambda: mlp(TOKENS))
    assert structural(found)[0] == "precision"
    assert any(s.startswith("fp32 instead of bf16") and "parameters" not in s for s in sentences(found))


def test_other_threads(mlp: nn.Sequential) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        two = side(lambda: mlp(TOKENS), 2e-3)
        torch.set_num_threads(1)
        one = side(lambda: mlp(TOKENS), 3e-3)
    finally:
        torch.set_num_threads(before)
    assert structural(explain(two, one)) == ["setting"]
    assert any(s.startswith("torch's setting threads 2 -> 1") for s in sentences(explain(two, one)))
    assert any(s.startswith("torch's setting threads 1 -> 2") for s in sentences(explain(one, two)))


def test_the_model_is_run_twice(mlp: nn.Sequential) -> None:
    found = why(lambda: mlp(TOKENS), lambda: (mlp(TOKENS), mlp(TOKENS)))
    assert structural(found) == ["repeated"]
    assert any(s.startswith("every kernel runs 2 times as often") for s in sentences(found))


def test_a_larger_batch(mlp: nn.Sequential) -> None:
    found = why(lambda: mlp(TOKENS), lambda: mlp(TOKENS.repeat(1, 1)[:16]))
    assert "shape" in structural(found)
    assert any("32x64 -> 16x64" in sentence for sentence in sentences(found))


def test_the_same_call_has_no_exact_cause(net: nn.Sequential) -> None:
    assert structural(why(lambda: net(IMAGES), lambda: net(IMAGES))) == []
