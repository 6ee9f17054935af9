"""The image tower of OpenCLIP's ViT-B-32; timm's twin of it where open_clip is not installed."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import logging
from importlib import util
from typing import Any

from torch.nn import Module

from pytest_gpuperf.models.weights import awaken
from pytest_gpuperf.models.workload import Built, Scale, images

_TRAINED_ON = "laion2b_s34b_b79k"


def vit_b_32(scale: Scale, pretrained: bool) -> Built:
    """ViT-B/32; narrow: 3 layers of 192, patches of 8 in 64 x 64 pixels."""
    if util.find_spec("open_clip") is None:
        return _timm_twin(scale, pretrained)
    import open_clip  # noqa: PLC0415 - optional
    from open_clip.transformer import VisionTransformer  # noqa: PLC0415

    if scale == "full":
        root = logging.getLogger()
        root.addFilter(_speaks_of_more_than_weights)
        try:
            whole: Any = open_clip.create_model("ViT-B-32", pretrained=_TRAINED_ON if pretrained else None)
        finally:
            root.removeFilter(_speaks_of_more_than_weights)
        tower: Module = whole.visual
        return Built(tower if pretrained else awaken(tower, images(224)), images(224))
    narrow = VisionTransformer(image_size=64, patch_size=8, width=192, layers=3, heads=3, mlp_ratio=4.0, output_dim=128)
    return Built(awaken(narrow, images(64)), images(64))


def _speaks_of_more_than_weights(record: logging.LogRecord) -> bool:
    """Random weights are what we ask for: open_clip need not warn of them."""
    return "No pretrained weights" not in record.getMessage()


def _timm_twin(scale: Scale, pretrained: bool) -> Built:
    from pytest_gpuperf.models.timm_models import by_name  # noqa: PLC0415 - timm is optional too

    return by_name("vit_base_patch32_clip_224", scale, pretrained)
