"""Random weights that leave no part of a model silent."""
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import torch
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage] - their common base

from pytest_gpuperf.models.workload import Inputs

_CALIBRATION_IMAGES = 4  # batch norms take their statistics from so many
_SILENT = 1e-4  # weights all smaller than this pass next to nothing on


def awaken(module: torch.nn.Module, inputs: Inputs) -> torch.nn.Module:
    """Draw what an initialisation meant for training leaves at zero, and take batch norms' statistics from images.

    A ViT's head begins at zero, a residual branch is scaled by zero or by a millionth, biases are zero and running
    statistics are those of nothing: a back end that dropped any of them would give the same numbers.
    """
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.abs().max() > _SILENT:
                continue
            if parameter.ndim == 1 and not name.endswith("bias"):
                parameter.uniform_(0.1, 0.4)  # the scale of a branch: larger ones let depth amplify rounding
            else:
                parameter.normal_(std=0.02)
        _calibrate(module, inputs)
    return module


def _calibrate(module: torch.nn.Module, inputs: Inputs) -> None:
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
    if not norms:
        return
    module.eval()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0  # the last batch alone
    module(*inputs(_CALIBRATION_IMAGES, torch.Generator().manual_seed(_CALIBRATION_IMAGES)))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval()
        norm.momentum = momentum
