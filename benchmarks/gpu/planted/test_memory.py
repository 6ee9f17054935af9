"""What the fixture `gpu` asserts, held and broken on purpose."""

import pytest
import torch

pytestmark = pytest.mark.gpu


def test_a_clean_test_passes(gpu):
    x = torch.randn(2048, 2048, device=gpu.device.kind)
    (x @ x).sum().item()
    del x
    gpu.assert_memory_released()


kept = []


def test_a_leak_of_600_mib_is_found(gpuperf, gpu):
    kept.append(torch.zeros(600 * 2**20, dtype=torch.uint8, device=gpu.device.kind))
    gpu.assert_memory_released()


def test_out_of_memory(gpuperf):
    gpuperf(lambda: torch.empty(1 << 45, dtype=torch.uint8, device=gpuperf.device))


def test_the_next_one_can_allocate(gpuperf):
    kept.clear()
    x = torch.ones(64 * 2**20, device=gpuperf.device)
    measured = gpuperf(lambda: x.add_(1))
    print("PEAK", measured.peak_memory, measured.memory_source)


def test_it_runs_on_the_device(gpu):
    x = torch.randn(1024, 1024, device=gpu.device.kind)
    gpu.assert_executed(lambda: x @ x)
    gpu.assert_on_device(x)
    gpu.assert_not_throttled()


def test_a_model_left_on_the_host_is_contradicted(gpu):
    x = torch.randn(1024, 1024)
    found = gpu.evidence(torch.nn.Linear(1024, 1024), x)
    print("EVIDENCE", found)
    assert found.verdict != "proven"


def test_power_rises(gpu):
    x = torch.randn(4096, 4096, device=gpu.device.kind)
    gpu.assert_power_rises(lambda: x @ x)
