"""The pipeline that most image models have: decode, preprocess, host to device, inference, post-process.

Where a stage runs on a GPU without a stream of its own, its function waits for the work that it launched: otherwise its
time would be that of launching, and the next stage would be charged with the work.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, Literal

import torch

from pytest_gpuperf.errors import MissingError, UsageError, WorkloadError
from pytest_gpuperf.pipeline.stage import PipelineStage
from pytest_gpuperf.pipeline.streams import refuse_without_cuda
from pytest_gpuperf.records.pipeline import Where

Place = Literal["cpu", "gpu"]
Images = torch.Tensor | list[torch.Tensor]  # a batch: one tensor where all have one size

_MEAN, _DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # ImageNet's
_RGB = 3  # ImageReadMode.RGB
_LARGER = 8 / 7  # the side to which images are scaled before the centre is cut out: 256 for 224


@dataclass(frozen=True)
class ImagePipeline:
    """Stages and their source: ``gpuperf_pipeline(made.stages, made.source, batch=made.batch)``."""

    stages: tuple[PipelineStage, ...]
    source: tuple[tuple[bytes, ...], ...]  # JPEG files, batch by batch
    batch: int


def image_pipeline(
    model: Callable[[torch.Tensor], Any],
    images: int | Sequence[bytes] = 64,
    *,
    batch: int = 8,
    size: int = 224,
    device: str | None = None,
    decode: Place = "cpu",
    preprocess: Place = "cpu",
    pinned: bool = False,
    streams: bool = False,
    workers: int = 1,
    where: Where = "thread",
) -> ImagePipeline:
    """A pipeline around a model of square images: ``image_pipeline(network, 64, batch=8, workers=2)``.

    `images` are JPEG files, or how many are drawn. The model stays where it is, and `device` is known from its
    parameters; what has none is given one. `workers` and `where` are of the stages on the processor that decode and
    preprocess. On a GPU `pinned` copies from pinned memory, without waiting, and `streams` gives each stage there a
    CUDA stream of its own.
    """
    parameter = next(model.parameters(), None) if isinstance(model, torch.nn.Module) else None
    target = torch.device(device or ("cpu" if parameter is None else parameter.device))
    _refuse(target, batch, decode, preprocess, pinned=pinned, streams=streams)
    on_device: Where = "stream" if streams else "thread"
    stages = [
        PipelineStage("decode", Decode(), workers, where)
        if decode == "cpu"
        else PipelineStage("decode", Decode(str(target), waits=not streams), where=on_device)
    ]
    if preprocess == "cpu":
        stages.append(PipelineStage("preprocess", Preprocess(size), workers, where))
    if pinned:
        stages.append(PipelineStage("pin", pin))
    if target.type != "cpu" and decode == "cpu":
        copy = HostToDevice(str(target), pinned=pinned, waits=not streams)
        stages.append(PipelineStage("host-to-device", copy, where=on_device))
    if preprocess == "gpu":
        stages.append(PipelineStage("preprocess", Preprocess(size, waits=not streams), where=on_device))
    infer = Infer(model, None if parameter is None else parameter.dtype, waits=target.type != "cpu" and not streams)
    stages += [PipelineStage("inference", infer, where=on_device), PipelineStage("post-process", best_classes)]
    files = draw_images(images, round(size * _LARGER)) if isinstance(images, int) else tuple(images)
    if len(files) < batch:
        raise UsageError(
            f"{len(files)} images are fewer than the batch of {batch}. Give more images, or a smaller batch."
        )
    source = tuple(tuple(files[i : i + batch]) for i in range(0, len(files) - batch + 1, batch))
    return ImagePipeline(tuple(stages), source, batch)


def _refuse(device: torch.device, batch: int, decode: Place, preprocess: Place, *, pinned: bool, streams: bool) -> None:
    if batch < 1:
        raise UsageError(f"batch={batch}: an item holds at least one image.")
    on_gpu = {"decode": decode == "gpu", "preprocess": preprocess == "gpu", "pinned": pinned, "streams": streams}
    asked = [name for name, wanted in on_gpu.items() if wanted]
    if not asked:
        return
    if decode == "gpu" and preprocess == "cpu":
        raise UsageError(
            'decode="gpu" with preprocess="cpu" would copy every image to the GPU and back. Write preprocess="gpu" too.'
        )
    if decode == "gpu" and pinned:
        raise UsageError('decode="gpu" copies no images from the host, so there is nothing to pin. Leave pinned out.')
    if device.type != "cuda":
        raise MissingError(
            f"{' and '.join(asked)}: this needs the model on a CUDA device, and it is on {device.type}. Move it there, "
            f"or leave {'it' if len(asked) == 1 else 'them'} out."
        )
    refuse_without_cuda(" and ".join(asked))


def draw_images(count: int, side: int, seed: int = 0) -> tuple[bytes, ...]:
    """JPEG files of patches of colour with some grain: about as large as photographs of that size are."""
    encode = _jpeg().encode_jpeg
    generator = torch.Generator().manual_seed(seed)
    files: list[bytes] = []
    for _ in range(count):
        patches = torch.rand(1, 3, 8, 8, generator=generator)
        smooth = torch.nn.functional.interpolate(patches, size=(side, side), mode="bilinear")[0]
        grain = 0.05 * torch.randn(3, side, side, generator=generator)
        pixels = ((smooth + grain).clamp(0, 1) * 255).to(torch.uint8)
        files.append(encode(pixels, 90).numpy().tobytes())
    return tuple(files)


@dataclass(frozen=True)
class Decode:
    """JPEG files to pixels; on a GPU with nvJPEG, where its engine does that."""

    device: str = "cpu"
    waits: bool = False

    def __call__(self, files: Sequence[bytes]) -> Images:
        packed = [torch.frombuffer(bytearray(file), dtype=torch.uint8) for file in files]
        jpeg = _jpeg()
        if self.device == "cpu":
            return _together([jpeg.decode_jpeg(file, _RGB, False) for file in packed])
        return _waited(_together(jpeg.decode_jpegs_cuda(packed, _RGB, torch.device(self.device))), self.waits)


@dataclass(frozen=True)
class Preprocess:
    """Scale, cut the centre out, normalise: torchvision's transforms, where the images are."""

    size: int
    waits: bool = False

    def __call__(self, images: Images) -> torch.Tensor:
        from torchvision.transforms import v2  # noqa: PLC0415 - a worker imports it once

        functions = v2.functional
        scaled = partial(functions.resize, size=[round(self.size * _LARGER)], antialias=True)

        def ready(pixels: torch.Tensor) -> torch.Tensor:
            cut = functions.center_crop(scaled(pixels), [self.size, self.size])
            return functions.normalize(functions.to_dtype(cut, torch.float32, scale=True), _MEAN, _DEVIATION)

        with torch.inference_mode():
            done = ready(images) if isinstance(images, torch.Tensor) else torch.stack([ready(each) for each in images])
        return _waited(done, self.waits)


def pin(images: Images) -> Images:  # pragma: no cover - needs a GPU
    """The same in pinned memory, from which a copy need not wait."""
    return images.pin_memory() if isinstance(images, torch.Tensor) else [each.pin_memory() for each in images]


@dataclass(frozen=True)
class HostToDevice:
    """Copies a batch to the device; from pinned memory without waiting, and only from there."""

    device: str
    pinned: bool = False
    waits: bool = True

    def __call__(self, images: Images) -> Images:
        parts = [images] if isinstance(images, torch.Tensor) else images
        if self.pinned and not all(part.is_pinned() for part in parts):
            raise WorkloadError(
                "pinned memory was asked for, and the images are not in it, so the copy would wait and say nothing of "
                "it. Pin them in a stage before this one: PipelineStage('pin', pin)"
            )
        copies = [part.to(self.device, non_blocking=self.pinned) for part in parts]
        return _waited(copies[0] if isinstance(images, torch.Tensor) else copies, self.waits)


@dataclass(frozen=True)
class Infer:
    """Calls the model in inference mode, on images of the type of its weights."""

    model: Callable[[torch.Tensor], Any]
    dtype: torch.dtype | None
    waits: bool

    def __call__(self, images: torch.Tensor) -> Any:
        with torch.inference_mode():
            return _waited(self.model(images if self.dtype is None else images.to(self.dtype)), self.waits)


def best_classes(output: torch.Tensor) -> tuple[list[list[int]], list[list[float]]]:
    """The five likeliest classes of each image, and how likely they are, on the host."""
    with torch.inference_mode():
        likely = output.flatten(1).float().softmax(1).topk(min(5, output.flatten(1).shape[1]))
        return likely.indices.tolist(), likely.values.tolist()


def _jpeg() -> Any:
    """torchvision's codec without its wrapper, which warns at each call from 0.29 on: torchcodec is to take over."""
    import_module("torchvision.io")  # registers it
    return torch.ops.image


def _together(images: list[torch.Tensor]) -> Images:
    return torch.stack(images) if len({each.shape for each in images}) == 1 else images


def _waited(result: Any, waits: bool) -> Any:
    if waits and torch.cuda.is_available():  # pragma: no cover - needs a GPU
        torch.cuda.current_stream().synchronize()
    return result
