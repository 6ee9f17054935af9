from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_gpuperf.device import caches
from pytest_gpuperf.device.choice import choose_device


@pytest.fixture
def device():
    return choose_device("cpu").device


def test_the_largest_cache_is_the_last(device, tmp_path):
    for number, text in enumerate(["32K", "1024K", "16M", "4096"]):
        (tmp_path / f"index{number}").mkdir()
        (tmp_path / f"index{number}/size").write_text(text + "\n")
    assert caches.size(device, None, tmp_path) == 16 * 2**20


def test_a_kernel_that_does_not_say_gets_a_large_guess(device, tmp_path):
    assert caches.size(device, None, tmp_path) == 64 * 2**20


def test_a_torch_that_does_not_say_gets_a_large_guess():
    assert caches.l2_size(SimpleNamespace(L2_cache_size=50 * 2**20)) == 50 * 2**20
    assert caches.l2_size(SimpleNamespace(total_memory=2**34)) == 64 * 2**20  # as torch 2.4 has it


def test_this_machines_cache_is_flushed(device):
    size = caches.size(device, None)
    assert 2**10 < size < 2**34
    assert caches.flush(device, None)() is None
