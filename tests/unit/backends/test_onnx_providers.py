"""ONNX Runtime on a machine without a GPU: it falls back, and is caught."""

from __future__ import annotations

import subprocess
import sys

import onnxruntime
import pytest
import torch
from small_net import small

from pytest_gpuperf.backends import onnx_providers
from pytest_gpuperf.backends.onnx_export import exported
from pytest_gpuperf.backends.onnx_providers import CPU, CUDA, TENSORRT, missing_libraries, placement, session
from pytest_gpuperf.errors import ContradictedError

needs_gpu_build = pytest.mark.skipif(
    CUDA not in onnxruntime.get_available_providers() or torch.cuda.is_available(),
    reason="needs onnxruntime-gpu on a machine without a GPU",
)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    workload = small()
    return exported(workload.module, workload.inputs(1), quantised=False)


def test_operators_are_placed(path):
    placed = placement(session(path, [(CPU, {})], threads=1), CPU)
    assert placed.wanted == CPU
    assert placed.operators[CPU]["Conv"] == 1
    assert placed.elsewhere == {}


def test_an_old_onnx_runtime_does_not_tell():
    assert placement(object(), CPU) is None


@needs_gpu_build
def test_a_fallback_is_refused_with_the_missing_library(path):
    with pytest.raises(ContradictedError, match=r"fell back to CPUExecutionProvider.*Missing: .*libcuda.so.1"):
        session(path, [(CUDA, {})], threads=1)


@needs_gpu_build
def test_a_fallback_from_tensorrt_names_its_package(path):
    with pytest.raises(ContradictedError, match=r"Missing: libnvinfer.*pip install tensorrt"):
        session(path, [(TENSORRT, {})], threads=1)


@needs_gpu_build
def test_libraries_are_loaded_from_where_pip_put_them():
    onnx_providers.load_libraries(CUDA)
    assert missing_libraries(CUDA) in ([], ["libcuda.so.1"])  # what pip installs is found; the driver is not pip's


def test_a_build_without_the_provider_lacks_its_library(monkeypatch, tmp_path):
    monkeypatch.setattr(onnxruntime, "__file__", str(tmp_path / "__init__.py"))
    assert missing_libraries(CUDA) == ["libonnxruntime_providers_cuda.so"]


@pytest.mark.parametrize(
    ("listed", "says"),
    [
        ("libcuda.so.1 => not found", "a part of the NVIDIA driver"),
        ("libmissing.so.1 => not found\nlibcuda.so.1 => not found", "Missing: libmissing.so.1, libcuda.so.1. Install"),
        ("libc.so.6 => /lib/libc.so.6", "None of its libraries is missing"),
    ],
)
def test_each_cause_has_its_remedy(monkeypatch, tmp_path, listed, says):
    (tmp_path / "capi").mkdir()
    (tmp_path / "capi" / "libonnxruntime_providers_cuda.so").touch()
    monkeypatch.setattr(onnxruntime, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, stdout=listed))
    monkeypatch.setattr(onnx_providers.ctypes, "CDLL", _refuse)
    assert says in onnx_providers._what_is_missing(CUDA)


def _refuse(name, mode):
    raise OSError(name)


WITHOUT_PRELOADING = """
import onnxruntime
del onnxruntime.preload_dlls
from pytest_gpuperf.backends.onnx_providers import CUDA, load_libraries, missing_libraries
load_libraries(CUDA)
print(*missing_libraries(CUDA))
"""


@needs_gpu_build
def test_an_onnx_runtime_without_preloading_is_served_too():
    ran = subprocess.run([sys.executable, "-c", WITHOUT_PRELOADING], capture_output=True, text=True, check=True)
    assert ran.stdout.split() in ([], ["libcuda.so.1"])
