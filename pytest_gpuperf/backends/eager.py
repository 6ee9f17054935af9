"""The module as it is."""

from __future__ import annotations

import torch

from pytest_gpuperf.backends.backend import Job, Made
from pytest_gpuperf.backends.precisions import lower


class Eager:
    """torch, operator by operator."""

    name = "eager"

    def lacks(self, device: torch.device) -> str | None:  # noqa: ARG002 - whoever asks has torch
        """Nothing."""
        return None

    def make(self, job: Job) -> Made:
        """Bring it to the device."""
        return Made(lower(job.module, job.precision, job.device))
