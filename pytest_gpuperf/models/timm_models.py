"""timm's models: some by a name of their own, every other as ``timm:NAME``."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.models.weights import awaken
from pytest_gpuperf.models.workload import Built, Scale, images

_SMOKE_SIDE = 64
_NARROW: Mapping[str, Mapping[str, Any]] = {
    "resnet50": {"base_width": 16, "num_classes": 100},
    "vit_base_patch16_224": {"embed_dim": 192, "depth": 3, "num_heads": 3, "patch_size": 8, "num_classes": 100},
    "vit_base_patch32_clip_224": {"embed_dim": 192, "depth": 3, "num_heads": 3, "patch_size": 8},
    "convnext_tiny": {"dims": (48, 96, 192, 384), "depths": (1, 1, 3, 1), "num_classes": 100},
}


def by_name(name: str, scale: Scale, pretrained: bool) -> Built:
    """Any model of timm; at the scale "smoke" on small images, and narrow where we know how."""
    if not timm.is_model(name):
        raise UsageError(
            f"timm has no model {name!r}. List what it has: "
            f"python -c \"import timm; print(*timm.list_models('*vit*'), sep='\\n')\""
        )
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    side: int = 224 if config is None else config.input_size[-1]
    if scale == "full":
        module = timm.create_model(name, pretrained=pretrained)
    else:
        sized = {} if config is None or not config.fixed_input_size else {"img_size": _SMOKE_SIDE}
        module = timm.create_model(name, **sized, **_NARROW.get(name, {}))
        side = _SMOKE_SIDE
    return Built(module if pretrained else awaken(module, images(side)), images(side))


def vit_base_patch16_224(scale: Scale, pretrained: bool) -> Built:
    """timm's ViT-B/16."""
    return by_name("vit_base_patch16_224", scale, pretrained)


def convnext_tiny(scale: Scale, pretrained: bool) -> Built:
    """ConvNeXt-T."""
    return by_name("convnext_tiny", scale, pretrained)
