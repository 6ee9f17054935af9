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


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other API call",
        "CUDA driver error: out of memory",
        "Triton Error [CUDA]: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to",
    ],
)
def test_out_of_memory_is_known_by_the_words_of_errors_that_are_of_no_kind(said):
    import torch

    assert is_out_of_memory(RuntimeError(said))
    assert is_out_of_memory(getattr(torch, "AcceleratorError", RuntimeError)(said))  # since torch 2.8
    assert not is_out_of_memory(AssertionError(said)), "a test that speaks of it"


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
    ],
)
def test_other_errors_of_cuda_are_not_for_want_of_memory(said):
    assert not is_out_of_memory(RuntimeError(said))


def test_onnx_runtime_out_of_memory():
    """Its own error, of a tensor of 256 TiB; and that of its CUDA provider, which has the same class."""
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    helper, float_ = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Expand", ["x", "shape"], ["y"])],
        "greedy",
        [helper.make_tensor_value_info("x", float_, [1])],
        [helper.make_tensor_value_info("y", float_, None)],
        [helper.make_tensor("shape", onnx.TensorProto.INT64, [2], [2**20, 2**26])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    state = onnxruntime.capi.onnxruntime_pybind11_state
    with pytest.raises(state.Fail) as caught:
        session.run(None, {"x": np.ones(1, np.float32)})
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(state.RuntimeException("CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc(&p, size)"))
    assert not is_out_of_memory(state.RuntimeException("CUDA failure 700: an illegal memory access was encountered"))


def test_asking_does_not_import_torch():
    code = (
        "import sys; from pytest_gpuperf.device.memory import is_out_of_memory; "
        "assert is_out_of_memory(MemoryError()); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
