from __future__ import annotations

import sys
import warnings

import pytest
import torch
from small_net import small

from pytest_gpuperf import backends
from pytest_gpuperf.backends import opened, why_not
from pytest_gpuperf.backends.registry import backend_of
from pytest_gpuperf.errors import UsageError

THEIRS = """
from pytest_gpuperf.backends import Made

class Doubled:
    name = "doubled"

    def lacks(self, device):
        return None

    def make(self, job):
        return Made(lambda *inputs: 2 * job.module(*inputs))
"""


def test_an_entry_point_brings_a_back_end(tmp_path, monkeypatch):
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pytest_gpuperf.backends]\ndoubled = doubled_of_theirs:Doubled\n")
    (tmp_path / "doubled_of_theirs.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    assert "doubled" in backends.names()
    with opened(small(), 2, backend="doubled", device="cpu") as network:
        assert torch.equal(network(*network.inputs), 2 * network.workload.module(*network.inputs))


def test_an_unknown_back_end_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match=r"no back end 'onnx'. Did you mean 'onnxruntime'\?"):
        backend_of("onnx")


def test_an_unknown_precision_is_no_limit_but_an_error():
    with pytest.raises(UsageError, match="no precision 'half'"):
        why_not("eager", "half", "cpu")


@pytest.mark.parametrize("package", ["onnxruntime", "onnx", "onnxscript"])
def test_an_absent_package_is_named_with_its_command(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    assert f"needs {package}, which is not installed. Install it with: pip install" in why_not(
        "onnxruntime", "fp32", "cpu"
    )


def test_compiling_needs_a_compiler(monkeypatch):
    assert why_not("compile", "fp32", "cpu") is None
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "needs a C++ compiler" in why_not("compile", "fp32", "cpu")


def test_compiling_without_tf32_is_no_error_where_warnings_are(monkeypatch):
    """torch 2.11 warns of what a precision has chosen, on cards that have TF32."""
    said = ["TensorFloat32 tensor cores for float32 matrix multiplication available but not enabled. Consider ..."]

    def compiled(module, **_):
        def call(*inputs):
            for text in said:
                warnings.warn(text, UserWarning, 2)
            return module(*inputs)

        return call

    monkeypatch.setattr(torch, "compile", compiled)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with opened(small(), 2, backend="compile", device="cpu") as network:
            assert network.prepared_in > 0
        said.append("something else")
        with pytest.raises(UserWarning, match="something else"), opened(small(), 2, backend="compile", device="cpu"):
            pass


def test_graphs_of_torch_need_nothing_but_torch():
    assert backend_of("cudagraph").lacks(torch.device("cuda")) is None
