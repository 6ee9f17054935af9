"""Vision transformers of any size, as ``vit:p16-d12-h768-r224``: timm's, with heads and positions that fit."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from timm.models.vision_transformer import VisionTransformer

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.models.weights import awaken
from pytest_gpuperf.models.workload import Built, Scale, images
from pytest_gpuperf.records.vit import CLASSES, MLP, ViT


def build(vit: ViT, scale: Scale, pretrained: bool) -> Built:
    """timm's attention is fused in every mode, so that the tokens' products with each other are never held."""
    if pretrained:
        raise UsageError(
            f"{vit.name}: nobody has trained it in every size. Random weights take as long to run: leave "
            f"pretrained=True out, or name a trained one: timm:vit_base_patch16_224."
        )
    vit = vit if scale == "full" else vit.small
    module = VisionTransformer(
        img_size=vit.resolution,
        patch_size=vit.patch,
        depth=vit.depth,
        embed_dim=vit.hidden,
        num_heads=vit.heads,
        mlp_ratio=MLP,
        num_classes=CLASSES,
    )
    return Built(awaken(module, images(vit.resolution)), images(vit.resolution))
