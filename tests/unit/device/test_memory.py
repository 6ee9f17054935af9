from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from pytest_gpuperf.device.memory import AllocatorMemory, ResidentMemory, is_out_of_memory

MB = 2**20


def permitted() -> bool:
    meter = ResidentMemory()
    meter.reset()
    return meter.peak() is not None


@pytest.mark.skipif(not permitted(), reason="this kernel lets no process reset its high-water mark")
def test_the_peak_is_that_since_the_reset():
    """In a process of its own: an allocator that other tests have used hands out pages it already holds."""
    code = """if True:
        import numpy as np
        from pytest_gpuperf.device.memory import ResidentMemory
        meter = ResidentMemory()
        np.ones(200 * 2**20, dtype=np.uint8)  # freed at once: it raised the mark before the reset
        meter.reset()
        quiet = meter.peak()
        np.ones(100 * 2**20, dtype=np.uint8)
        print(meter.peak() - quiet)
        meter.release()
    """
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert 80 * MB < int(done.stdout) < 180 * MB


def test_a_kernel_that_forbids_the_reset_gives_no_figure(tmp_path):
    (tmp_path / "status").write_text("VmHWM:\t 1000 kB\n")
    meter = ResidentMemory(tmp_path / "absent")
    meter.reset()
    assert meter.peak() is None
    assert ResidentMemory(tmp_path).peak() is None, "never reset"


@pytest.mark.parametrize(("status", "peak"), [("Name:\tx\nVmHWM:\t 1000 kB\n", 1_024_000), ("Name:\tx\n", None)])
def test_the_kernels_own_words(tmp_path, status, peak):
    (tmp_path / "status").write_text(status)
    meter = ResidentMemory(tmp_path)
    meter.reset()
    assert meter.peak() == peak


def test_the_allocators_figure():
    did = []

    def fail() -> None:
        did.append("empty")
        raise RuntimeError("the device is lost")

    meter = AllocatorMemory(lambda: did.append("reset"), lambda: 123, lambda: 45, fail)
    meter.reset()
    assert (meter.peak(), meter.allocated(), meter.source) == (123, 45, "torch allocator")
    meter.release()  # the workload's own error is the news
    assert did == ["reset", "empty"]


def test_out_of_memory_is_known_by_name():
    import torch

    assert is_out_of_memory(torch.cuda.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(np._core._exceptions._ArrayMemoryError((1,), np.dtype("u1")))
    assert not is_out_of_memory(RuntimeError("out of memory"))


def test_asking_does_not_import_torch():
    code = (
        "import sys; from pytest_gpuperf.device.memory import is_out_of_memory; "
        "assert is_out_of_memory(MemoryError()); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
