"""Vision transformers of any size: what is built has the weights, operations and memory that its sizes say."""

from __future__ import annotations

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.models import load
from pytest_gpuperf.records.vit import ViT, parse_vit

BATCH = 2


@pytest.mark.parametrize("name", ["vit:p8-d2-h64-r64", "vit:p16-d3-h128-r96", "vit:p32-d1-h1280-r64"])
def test_weights_and_operations_are_those_of_the_closed_forms(name):
    vit, workload = parse_vit(name), load(name)
    assert workload.parameter_bytes == 4 * vit.parameters
    assert workload.flops(BATCH) == vit.flops(BATCH)
    assert workload.inputs(BATCH)[0].shape == (BATCH, 3, vit.resolution, vit.resolution)


def test_every_token_has_a_position_and_every_block_its_heads():
    module = load("vit:p32-d1-h1280-r64").module
    assert module.pos_embed.shape == (1, 5, 1280)
    assert (module.blocks[0].attn.num_heads, module.blocks[0].attn.head_dim) == (16, 80)


@pytest.mark.parametrize("sizes", [(8, 2, 192, 64), (8, 4, 64, 128)])
def test_memory_is_what_the_allocator_counts_at_most(sizes):
    vit = ViT(*sizes)
    module, (images,) = load(vit.name).module.bfloat16(), load(vit.name).inputs(BATCH)
    images = images.bfloat16()
    with torch.inference_mode():
        module(images)  # what is made once is no part of a call
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            module(images)
    events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = most = images.nbytes
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    assert vit.activation_bytes(BATCH, 2) == pytest.approx(most, rel=0.05)


def test_a_small_one_is_of_the_same_architecture():
    workload = load("vit:p16-d12-h768-r224", "smoke")
    assert workload.parameter_bytes == 4 * ViT(16, 2, 192, 64).parameters


def test_nobody_has_trained_it():
    with pytest.raises(UsageError, match="nobody has trained it in every size"):
        load("vit:p16-d1-h64-r64", pretrained=True)


def test_a_size_that_cannot_be_is_refused_when_it_is_asked_for():
    with pytest.raises(UsageError, match="Use a resolution of 224 or 240"):
        load("vit:p16-d12-h768-r230")
