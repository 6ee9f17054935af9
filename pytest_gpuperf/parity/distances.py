"""How far one output is from another, in the norms that parity is judged by."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import torch

from pytest_gpuperf.parity.record import Distance

FAR = Distance(float("inf"), float("inf"), float("inf"))
_NOTHING = float(torch.finfo(torch.float32).smallest_normal)  # smaller errors are none in any precision
_SILENT_ROW = 1e-3  # a row this small beside the others is measured by theirs


def distance(output: torch.Tensor, exact: torch.Tensor) -> Distance:
    """Both of the same shape, in fp64, finite."""
    mine, true = rows(output), rows(exact)
    errors = (mine - true).norm(dim=1)
    return Distance(
        l2=_largest(errors / _sizes(true)),
        largest=_largest((mine - true).abs() / true.abs().max().clamp_min(_NOTHING)),
        angle=_largest(2 * torch.asin(((_turned(mine) - _turned(true)).norm(dim=1) / 2).clamp(max=1))),
    )


def worst_cosine(output: torch.Tensor, exact: torch.Tensor) -> float:
    """Of the row in which it is smallest."""
    return float((_turned(rows(output)) * _turned(rows(exact))).sum(dim=1).min())


def rows(tensor: torch.Tensor) -> torch.Tensor:
    """One for each item of the batch."""
    return tensor.reshape(1, -1) if tensor.ndim < 2 else tensor.flatten(1)


def _sizes(true: torch.Tensor) -> torch.Tensor:
    sizes: torch.Tensor = true.norm(dim=1)
    return sizes.clamp_min(_SILENT_ROW * float(sizes.max())).clamp_min(_NOTHING)


def _turned(true: torch.Tensor) -> torch.Tensor:
    """Rows of length one; an empty direction is the same as another."""
    sizes = true.norm(dim=1, keepdim=True)
    return torch.where(sizes > _NOTHING, true / sizes.clamp_min(_NOTHING), 0)


def _largest(values: torch.Tensor) -> float:
    return float(values.max())
