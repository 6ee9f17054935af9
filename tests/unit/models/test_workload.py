from __future__ import annotations

import torch
from small_net import draw, small

from pytest_gpuperf.models import Built, Workload, images, load


def test_inputs_are_the_same_for_the_same_seed():
    workload = small()
    (first,), (again,), (other,) = workload.inputs(2), workload.inputs(2), workload.inputs(2, seed=1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_images_differ_in_what_a_model_averages_over():
    (drawn,) = images(64)(16, torch.Generator().manual_seed(0))
    patches = torch.nn.functional.avg_pool2d(drawn, 16)
    assert patches.std(0).mean() > 0.3  # white noise: 1/16


def test_items_are_the_batch_unless_the_model_says_otherwise():
    assert small().items(8) == 8
    assert Workload("pairs", "smoke", Built(small().module, draw, items=lambda batch: 2 * batch)).items(8) == 16


def test_parameter_bytes_are_those_of_float32():
    assert small().parameter_bytes == 4 * (4 * 3 * 9 + 4 + 4 + 4 + 5 * 4 + 5)


def test_operations_are_counted_once_a_batch_and_grow_with_it():
    workload = small()
    by_hand = 2 * 3 * (9 * 4 * 27 + 4 * 5)  # 9 places of a convolution from 27 values to 4, and a product
    assert workload.flops(3) == by_hand
    workload.module.head = torch.nn.Identity()
    assert workload.flops(3) == by_hand
    assert workload.flops(1) < by_hand


def test_operations_of_attention_are_counted_in_inference_mode_too():
    workload = load("vit_b_16", "smoke")
    with torch.inference_mode():
        counted = workload.flops(1)
    tokens, width, mlp, layers = 65, 192, 768, 3
    products = layers * (4 * width * width + 2 * width * mlp) * tokens  # of weights
    attention = layers * 2 * tokens * tokens * width
    patches = 64 * 3 * 64 * width
    assert counted == 2 * (products + attention + patches + 100 * width)
