"""torchvision's models."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from torchvision.models import VisionTransformer, get_model
from torchvision.models.resnet import Bottleneck, ResNet

from pytest_gpuperf.models.weights import awaken
from pytest_gpuperf.models.workload import Built, Scale, images


def _whole(name: str, pretrained: bool, **options: bool) -> Built:
    module = get_model(name, weights="DEFAULT" if pretrained else None, **options)
    return Built(module if pretrained else awaken(module, images(224)), images(224))


def resnet50(scale: Scale, pretrained: bool) -> Built:
    """ResNet-50; narrow: a quarter of the bottleneck's width, 64 x 64 pixels."""
    if scale == "full":
        return _whole("resnet50", pretrained, zero_init_residual=True)
    narrow = ResNet(Bottleneck, [3, 4, 6, 3], num_classes=100, width_per_group=16, zero_init_residual=True)
    return Built(awaken(narrow, images(64)), images(64))


def vit_b_16(scale: Scale, pretrained: bool) -> Built:
    """ViT-B/16; narrow: 3 layers of 192, patches of 8 in 64 x 64 pixels."""
    if scale == "full":
        return _whole("vit_b_16", pretrained)
    narrow = VisionTransformer(
        image_size=64, patch_size=8, num_layers=3, num_heads=3, hidden_dim=192, mlp_dim=768, num_classes=100
    )
    return Built(awaken(narrow, images(64)), images(64))
