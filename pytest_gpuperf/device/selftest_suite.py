"""What `gpuperf selftest` measures where no tests are given: a matrix product, a copy, a chain of small calls.

Run by pytest in fresh processes; on a GPU through torch, else through numpy.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def test_matrix_product(gpuperf: Any) -> None:
    if gpuperf.device == "cpu":
        a = np.random.default_rng(0).standard_normal((192, 192), dtype=np.float32)
        gpuperf(lambda: a @ a)
    else:  # pragma: no cover - needs a GPU
        import torch  # noqa: PLC0415 - three seconds that only a CUDA device is worth

        b = torch.randn(2048, 2048, device=gpuperf.device)
        gpuperf(lambda: b @ b)


def test_copy(gpuperf: Any) -> None:
    if gpuperf.device == "cpu":
        a = np.zeros(250_000)
        gpuperf(a.copy)
    else:  # pragma: no cover - needs a GPU
        import torch  # noqa: PLC0415 - three seconds that only a CUDA device is worth

        b = torch.zeros(16 * 2**20, device=gpuperf.device)
        gpuperf(b.clone)


def test_small_calls(gpuperf: Any) -> None:
    if gpuperf.device == "cpu":
        a = np.ones(64)
        gpuperf(lambda: [a + 1 for _ in range(100)])
    else:  # pragma: no cover - needs a GPU
        import torch  # noqa: PLC0415 - three seconds that only a CUDA device is worth

        b = torch.ones(64, device=gpuperf.device)
        gpuperf(lambda: [b + 1 for _ in range(20)])
