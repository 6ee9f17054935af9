"""A step that plants slow-downs in real models, and asks for their cause: does the answer name what was planted?"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from rows import Row, judged

Call = Callable[[], object]


def causes(device: str, into: Path) -> Iterator[Row]:
    """Each pair is a model before and after; the profiles of both, and their timings, are all that is known of it."""
    import torch

    from pytest_gpuperf.causes.explain import ProfiledSide, explain
    from pytest_gpuperf.device.choice import choose_device
    from pytest_gpuperf.measure.find_tensors import find_tensors
    from pytest_gpuperf.reports.why import sentences
    from pytest_gpuperf.traces.profile import profile_of

    chosen = choose_device(device)

    def side(call: Call) -> ProfiledSide:
        for _ in range(5):
            call()
        clock, _ = chosen.clock.fitted(call)
        seconds = median(clock.block(call, 20, 1).samples)
        types = find_tensors(call).types
        profile = profile_of(
            call, clock.synchronize, cuda=device == "cuda", session="s", seconds=seconds, parameters=types
        )
        return ProfiledSide(profile=profile, seconds=seconds)

    with torch.inference_mode():
        for planted, wanted, before, after in _planted(device):
            found = explain(side(before), side(after))
            kinds = [cause.kind for cause in found.causes]
            said = " / ".join(sentences(found)[:3])
            figure = f"{found.seconds and found.seconds[1] / found.seconds[0]:.2f} times; {said}"
            yield judged(planted, figure[:900], wanted, holds=bool(kinds) and kinds[0] == wanted)


def _planted(device: str) -> Iterator[tuple[str, str, Call, Call]]:
    """What was planted, the kind of cause that should come first, and the calls before and after."""
    import torch
    from torch import nn
    from torch.nn import functional
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    big = device == "cuda"
    half = torch.float16 if big else torch.bfloat16
    wide, side, images = (256, 56, 16) if big else (16, 24, 2)
    convolution = nn.Conv2d(wide, wide, 3, padding=1)
    net = nn.Sequential(convolution, nn.BatchNorm2d(wide), nn.ReLU()).eval().to(device)
    x = torch.rand(images, wide, side, side, device=device)
    yield "an extra clone", "copy", lambda: net(x), lambda: net(x.clone())
    folded = nn.Sequential(fuse_conv_bn_eval(net[0], net[1]), nn.ReLU())
    yield "a batch norm that is not folded any more", "fusion", lambda: folded(x), lambda: net(x)
    last, x_last = copy.deepcopy(net).to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    halved, x_half = copy.deepcopy(last).to(half), x_last.to(half)
    yield "channels_last lost, fp16", "memory format", lambda: halved(x_half), _contiguous(halved, x_half)
    yield "fp32 in place of fp16", "precision", lambda: halved(x_half), lambda: last(x_last)
    yield "the model is run twice", "repeated", lambda: net(x), lambda: (net(x), net(x))
    heads = torch.rand(8, 8, 512 if big else 32, 64, device=device).to(half)
    yield (
        "a lost fusion of attention",
        "fusion",
        lambda: functional.scaled_dot_product_attention(heads, heads, heads),
        lambda: torch.softmax(heads @ heads.transpose(-1, -2) * 0.125, -1) @ heads,
    )
    yield "a larger batch", "shape", lambda: net(x[: images // 2]), lambda: net(x)
    if big:
        yield "TF32 switched off", "setting", _with_tf32(net, x, allowed=True), _with_tf32(net, x, allowed=False)


def _contiguous(module: Any, images: Any) -> Call:
    import torch

    plain = copy.deepcopy(module).to(memory_format=torch.contiguous_format)
    ordered = images.contiguous()
    return lambda: plain(ordered)


def _with_tf32(module: Any, images: Any, *, allowed: bool) -> Call:
    import torch

    def run() -> object:
        torch.backends.cudnn.allow_tf32 = allowed
        return module(images)

    return run
