"""The models of each family, small; full ones are built on the meta device, where nothing is computed."""

from __future__ import annotations

import sys

import pytest
import torch

from pytest_gpuperf.models import load, names


@pytest.mark.parametrize("name", [*names(), "timm:resnet50", "timm:vit_base_patch32_clip_224"])
def test_small_models_tell_images_apart(name):
    workload = load(name, "smoke")
    images = workload.inputs(4)
    with torch.inference_mode():
        outputs = workload.module(*images)
    assert images[0].shape == (4, 3, 64, 64)
    assert outputs.shape[0] == 4
    assert outputs.std(0).max() > 0.01 * outputs.abs().max()


@pytest.mark.parametrize(
    ("name", "side", "giga", "million"),
    [
        ("resnet50", 224, 8.18, 25.6),
        ("vit_b_16", 224, 35.13, 86.6),
        ("vit_base_patch16_224", 224, 35.13, 86.6),
        ("timm:resnet50", 224, 8.18, 25.6),
        ("convnext_tiny", 224, 8.91, 28.6),
        ("ViT-B-32", 224, 8.82, 87.8),
    ],
)
def test_full_models_have_the_papers_sizes(name, side, giga, million):
    workload = load(name)
    assert workload.inputs(1)[0].shape == (1, 3, side, side)
    assert workload.flops(1) / 1e9 == pytest.approx(giga, rel=0.01)
    assert workload.parameter_bytes / 4e6 == pytest.approx(million, rel=0.01)


def test_timm_has_a_twin_of_the_clip_tower(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    twin = load("ViT-B-32", "smoke")
    assert type(twin.module).__module__.startswith("timm.")


def test_a_model_of_timm_that_may_be_of_any_size_gets_small_images():
    assert load("timm:mobilenetv3_small_100", "smoke").inputs(2)[0].shape == (2, 3, 64, 64)
