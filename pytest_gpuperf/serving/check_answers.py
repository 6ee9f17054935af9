"""Whether a server computes what its model computes: the speed of wrong numbers means nothing."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from pytest_gpuperf.errors import ServerError
from pytest_gpuperf.models import Workload
from pytest_gpuperf.serving.requests import Array, Check
from pytest_gpuperf.serving.server import Server

LARGEST = 0.05  # of the largest number: half precision differs by less, other weights by far more


def inputs_of(workload: Workload, batch: int) -> list[Array]:
    """A batch of a workload, as requests carry it."""
    return [np.asarray(tensor.numpy()) for tensor in workload.inputs(batch)]


def answers_of(workload: Workload, inputs: Sequence[Array]) -> list[Array]:
    """What the model itself gives for the first item."""
    with torch.inference_mode():
        given = workload.module(*(torch.from_numpy(np.array(a[:1])) for a in inputs))
    return [np.asarray(tensor.float().numpy()) for tensor in ([given] if isinstance(given, torch.Tensor) else given)]


def check_of(server: Server, workload: Workload, inputs: Sequence[Array]) -> Check | None:
    """The check of a server's first answer; None for a remote server, whose weights may be others than ours."""
    if not server.local:
        return None
    expected = answers_of(workload, inputs)
    return lambda answers: refuse_wrong_numbers(server, answers, expected)


def refuse_wrong_numbers(server: Server, answers: Sequence[Array], expected: Sequence[Array]) -> None:
    """Raise where the first item of an answer is not, within a few percent, the model's."""
    given, shapes = [a[:1] for a in answers], [e.shape for e in expected]
    if [a.shape for a in given] != shapes:
        raise _wrong(server, f"an item's arrays are of the shapes {[a.shape for a in given]}, and should be {shapes}")
    for answer, wanted in zip(given, expected, strict=True):
        scale = float(np.abs(wanted).max())
        off = float(np.abs(np.asarray(answer, np.float64) - wanted).max())
        if not off <= LARGEST * scale:  # not a number is not agreement either
            raise _wrong(server, f"its first item differs by {off:.3g}, and its largest number is {scale:.3g}")


def _wrong(server: Server, how: str) -> ServerError:
    return ServerError(
        f"The server {server.name!r} at {server.url} does not compute what its model {server.model!r} does: {how}. "
        f"The speed of wrong answers means nothing. Write its model repository anew, or send plain arrays, which are "
        f"not checked: gpuperf_load(server, [x])."
    )
