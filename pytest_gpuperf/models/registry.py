"""Models by name: ours, a user's own by decorator or entry point, timm's as ``timm:NAME``, ViTs as ``vit:SIZES``."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module, metadata, util

import torch

from pytest_gpuperf.errors import MissingError, UsageError
from pytest_gpuperf.models.workload import Built, Scale, Workload
from pytest_gpuperf.records.vit import PREFIX as VIT
from pytest_gpuperf.records.vit import ViT, parse_vit

Builder = Callable[[Scale, bool], Built]  # (scale, pretrained)

GROUP = "pytest_gpuperf.models"
_TIMM = "timm:"


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a model of ours is built, and a package it cannot do without."""

    file: str
    function: str
    needs: str


_OURS = {
    "resnet50": _Source("torchvision_models", "resnet50", "torchvision"),
    "vit_b_16": _Source("torchvision_models", "vit_b_16", "torchvision"),
    "vit_base_patch16_224": _Source("timm_models", "vit_base_patch16_224", "timm"),
    "convnext_tiny": _Source("timm_models", "convnext_tiny", "timm"),
    "ViT-B-32": _Source("clip_models", "vit_b_32", "timm"),
}
_own: dict[str, Builder] = {}  # by the decorator


def model(name: str) -> Callable[[Builder], Builder]:
    """Register ``build(scale, pretrained) -> Built`` under a name."""

    def register(build: Builder) -> Builder:
        if name in _OURS or name.startswith((_TIMM, VIT)) or _own.get(name, build) is not build:
            raise UsageError(f"There is a model {name!r} already. Register yours under another name.")
        _own[name] = build
        return build

    return register


def names() -> tuple[str, ...]:
    """Every model that has a name of its own; beside them stand ``timm:NAME`` and ``vit:SIZES``."""
    return (*_OURS, *(n for n in [*_own, *_entry_points()] if n not in _OURS))


def known(name: str) -> str:
    """The name itself, where there is such a model."""
    _builder(name)
    return name


def why_not(name: str) -> str | None:
    """What a model needs and lacks here, with the command that installs it; None where it can be built."""
    source = _OURS.get(name)
    needs = "timm" if name.startswith((_TIMM, VIT)) else None if source is None else source.needs
    if needs is None or util.find_spec(needs) is not None:
        return None
    return f"{name} needs {needs}, which is not installed. Install it with: pip install {needs}"


def load(name: str, scale: Scale = "full", *, pretrained: bool = False, seed: int = 0) -> Workload:
    """Build a model with the weights of a seed, or with its pretrained ones."""
    build = _builder(name)
    lacking = why_not(name)
    if lacking is not None:
        raise MissingError(lacking)
    if pretrained and scale != "full":
        raise UsageError(f"{name}: pretrained weights fit the full size only. Ask for scale='full'.")
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        try:
            built = build(scale, pretrained)
        except (OSError, RuntimeError) as error:  # open_clip turns the one into the other
            if not pretrained:
                raise
            raise MissingError(
                f"{name}: its pretrained weights could not be fetched ({error}). Random weights take as long to run: "
                f"leave pretrained=True out."
            ) from error
    built.module.eval()
    return Workload(name, scale, built, pretrained, None if name in _own else seed)


def _builder(name: str) -> Builder:
    if name in _OURS:
        source = _OURS[name]
        return _lazily(source.file, source.function)
    if name.startswith(_TIMM):
        return lambda scale, pretrained: _timm(name.removeprefix(_TIMM), scale, pretrained)
    if name.startswith(VIT):
        vit = parse_vit(name)
        return lambda scale, pretrained: _vit(vit, scale, pretrained)
    if name in _own:
        return _own[name]
    points = _entry_points()
    if name in points:
        return points[name].load()
    near = get_close_matches(name, names(), n=1, cutoff=0)
    raise UsageError(
        f"There is no model {name!r}. Did you mean {near[0]!r}? The models are: {', '.join(names())}, any of timm's as "
        f"timm:NAME, a vision transformer of any size as {VIT}p16-d12-h768-r224, and yours by "
        f"@pytest_gpuperf.models.model(NAME)."
    )


def _lazily(file: str, function: str) -> Builder:
    def build(scale: Scale, pretrained: bool) -> Built:
        made: Builder = getattr(import_module(f"pytest_gpuperf.models.{file}"), function)
        return made(scale, pretrained)

    return build


def _timm(name: str, scale: Scale, pretrained: bool) -> Built:
    from pytest_gpuperf.models.timm_models import by_name  # noqa: PLC0415 - only where timm is installed

    return by_name(name, scale, pretrained)


def _vit(vit: ViT, scale: Scale, pretrained: bool) -> Built:
    from pytest_gpuperf.models.vit_models import build  # noqa: PLC0415 - only where timm is installed

    return build(vit, scale, pretrained)


def _entry_points() -> dict[str, metadata.EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group=GROUP)}
