"""How far one output is from another, in the norms that parity is judged by."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math

import torch

from pytest_gpuperf.parity.record import Distance

FAR = Distance(math.inf, math.inf, math.pi)
_NOTHING = float(torch.finfo(torch.float32).smallest_normal)  # smaller errors are none in any precision
_SILENT_ROW = 1e-3  # a row this small beside the others is measured by theirs


def distance(output: torch.Tensor, exact: torch.Tensor) -> Distance:
    """Both of the same shape, in fp64, finite."""
    mine, true = rows(output), rows(exact)
    errors = (mine - true).norm(dim=1)
    return Distance(
        l2=_largest(errors / sizes(true)),
        largest=_largest((mine - true).abs() / true.abs().max().clamp_min(_NOTHING)),
        angle=_largest(2 * torch.asin(((_turned(mine) - _turned(true)).norm(dim=1) / 2).clamp(max=1))),
    )


def rows(tensor: torch.Tensor) -> torch.Tensor:
    """One for each item of the batch."""
    return tensor.reshape(1, -1) if tensor.ndim < 2 else tensor.flatten(1)


def sizes(true: torch.Tensor) -> torch.Tensor:
    """How large each row is, for errors to be shares of."""
    norms: torch.Tensor = true.norm(dim=1)
    return norms.clamp_min(_SILENT_ROW * float(norms.max())).clamp_min(_NOTHING)


def _turned(true: torch.Tensor) -> torch.Tensor:
    """Rows of length one, or less where next to nothing is left of them: such a direction is noise."""
    return true / sizes(true)[:, None]


def _largest(values: torch.Tensor) -> float:
    return float(values.max())
