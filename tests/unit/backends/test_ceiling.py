from __future__ import annotations

import pytest
import torch

from pytest_gpuperf.backends import PRECISIONS, ceiling
from pytest_gpuperf.backends.ceiling import _best

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["fp32", "autocast_bf16"])
def test_the_best_seen_is_kept(name):
    first = ceiling.ceiling(PRECISIONS[name], CPU)
    again = ceiling.ceiling(PRECISIONS[name], CPU)
    assert first.product > 0
    assert again.product >= first.product
    assert again.copy == first.copy > 0
    assert (PRECISIONS[name], CPU, torch.get_num_threads()) in _best


def test_int8_has_no_ceiling():
    assert ceiling.ceiling(PRECISIONS["int8"], CPU) is None
