"""What `gpuperf selftest` measures where no tests are given: matrix products, a copy, a chain of small calls.

Run by pytest in fresh processes; on a GPU through torch, else through numpy. On the processor they are as steady as
such work can be, so that the self-test is of the gate and the machine: one core, its own caches, and memory made once,
at a page. A product of two threads, or a copy that allocates, differs by 3 to 5 % between processes by itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_gpuperf.device.canaries import at_a_page
from pytest_gpuperf.records.units import KiB

_SIDE = 64  # of a matrix: OpenBLAS starts threads for larger ones
_PRODUCTS = 16
_COPIED = 256 * KiB
_COPIES = 10


def test_matrix_product(gpuperf: Any) -> None:
    if gpuperf.device == "cpu":
        shape = _PRODUCTS, _SIDE, _SIDE
        a, out = (at_a_page(4 * _PRODUCTS * _SIDE**2).view(np.float32).reshape(shape) for _ in range(2))
        a[...] = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        gpuperf(lambda: np.matmul(a, a, out=out))
    else:  # pragma: no cover - needs a GPU
        import torch  # noqa: PLC0415 - three seconds that only a CUDA device is worth

        b = torch.randn(2048, 2048, device=gpuperf.device)
        gpuperf(lambda: b @ b)


def test_copy(gpuperf: Any) -> None:
    if gpuperf.device == "cpu":
        source, target = at_a_page(_COPIED), at_a_page(_COPIED)
        gpuperf(lambda: [np.copyto(target, source) for _ in range(_COPIES)])
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
