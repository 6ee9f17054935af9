"""What `gpuperf selftest` measures where no tests are given: a matrix product, a copy, a chain of small calls.

Run by pytest in fresh processes; on a GPU through torch, else through numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_gpuperf.plugin.fixture import GpuPerf


def test_matrix_product(gpuperf: GpuPerf) -> None:
    if gpuperf.device == "cpu":
        import numpy as np

        a = np.random.default_rng(0).standard_normal((192, 192), dtype=np.float32)
        gpuperf(lambda: a @ a)
    else:  # pragma: no cover - needs a GPU
        import torch

        b = torch.randn(2048, 2048, device=gpuperf.device)
        gpuperf(lambda: b @ b)


def test_copy(gpuperf: GpuPerf) -> None:
    if gpuperf.device == "cpu":
        import numpy as np

        a = np.zeros(250_000)
        gpuperf(a.copy)
    else:  # pragma: no cover - needs a GPU
        import torch

        b = torch.zeros(16 * 2**20, device=gpuperf.device)
        gpuperf(b.clone)


def test_small_calls(gpuperf: GpuPerf) -> None:
    if gpuperf.device == "cpu":
        import numpy as np

        a = np.ones(64)
        gpuperf(lambda: [a + 1 for _ in range(100)])
    else:  # pragma: no cover - needs a GPU
        import torch

        b = torch.ones(64, device=gpuperf.device)
        gpuperf(lambda: [b + 1 for _ in range(20)])
