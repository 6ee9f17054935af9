"""What the suites under `tests/perf` and `tests/correctness` share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def one_core() -> Iterator[None]:
    """torch uses one thread: small networks run fastest so, and neighbours disturb one core less than all."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
