from __future__ import annotations

import pytest
import torch

from pytest_gpuperf.backends import PRECISIONS, ceiling

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["fp32", "autocast_bf16"])
def test_the_best_seen_is_kept(name):
    first = ceiling.ceiling(PRECISIONS[name], CPU)
    again = ceiling.ceiling(PRECISIONS[name], CPU)
    assert first.product > 0
    assert again.product >= first.product
    assert again.copy == first.copy > 0


def test_the_copy_is_measured_once_for_all_precisions():
    assert len({ceiling.ceiling(PRECISIONS[name], CPU).copy for name in ("fp32", "bf16", "autocast_bf16")}) == 1


def test_int8_has_no_ceiling():
    assert ceiling.ceiling(PRECISIONS["int8"], CPU) is None
