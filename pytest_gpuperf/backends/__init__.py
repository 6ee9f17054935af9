"""How a model is run::

with opened(load("resnet50"), 8, backend="torchscript", precision="fp16", device="cuda") as network:
    network(*network.inputs)
"""

from __future__ import annotations

from pytest_gpuperf.backends.backend import Backend, Job, Made
from pytest_gpuperf.backends.limits import RISKY, limit_of
from pytest_gpuperf.backends.opening import Opened, opened
from pytest_gpuperf.backends.placement import Placement
from pytest_gpuperf.backends.precisions import PRECISIONS, Precision
from pytest_gpuperf.backends.registry import names, why_not

__all__ = [
    "PRECISIONS",
    "RISKY",
    "Backend",
    "Job",
    "Made",
    "Opened",
    "Placement",
    "Precision",
    "limit_of",
    "names",
    "opened",
    "why_not",
]
