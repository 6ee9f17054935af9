from __future__ import annotations

import multiprocessing

import onnx
import pytest
import torch
from small_net import SmallNet, draw, small

from pytest_gpuperf.backends import onnx_export, why_not
from pytest_gpuperf.backends.onnx_export import exported, folder
from pytest_gpuperf.errors import MissingError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def export(workload=None, batch=1, *, quantised=False):
    workload = workload or small()
    return exported(workload.module, workload.inputs(batch), quantised=quantised)


def test_the_cache_is_the_users(tmp_path, monkeypatch):
    assert folder() == tmp_path / "pytest-gpuperf" / "onnx"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert folder() == tmp_path / "home" / ".cache" / "pytest-gpuperf" / "onnx"


def test_a_module_is_exported_once_whatever_the_batch():
    path = export(batch=1)
    written = path.stat().st_mtime_ns
    assert export(batch=4) == path
    assert path.stat().st_mtime_ns == written
    shape = onnx.load(path).graph.input[0].type.tensor_type.shape
    assert shape.dim[0].dim_param
    assert [d.dim_value for d in shape.dim[1:]] == [3, 8, 8]
    assert [p.name for p in folder().iterdir()] == [path.parent.name]  # no scratch is left


def test_what_was_made_from_other_things_has_another_name():
    class Other(SmallNet):
        def forward(self, images):
            return super().forward(images) + 1

    names = {export(), export(small(seed=1)), export(small(Other)), export(quantised=True)}
    half = small()
    half.module.half()
    names.add(exported(half.module, tuple(t.half() for t in half.inputs(1)), quantised=False))
    assert len(names) == 5


def test_an_older_torch_is_told_which_one_is_needed(monkeypatch):
    def exporter(model, args, f, *, dynamo=False):
        """As torch 2.4 has it."""

    monkeypatch.setattr(torch.onnx, "export", exporter)
    assert "onnxruntime: exporting to ONNX needs torch 2.5 or newer, and " in why_not("onnxruntime", "fp32", "cpu")
    with pytest.raises(MissingError, match=r"pip install 'torch>=2.5'"):
        export()


def test_code_that_cannot_be_read_is_named():
    assert onnx_export._source(type("FromAnInterpreter", (torch.nn.Module,), {})) == ""


def test_a_version_that_is_not_there_is_none():
    assert onnx_export._version("no-such-package") is None


def _export_in(barrier):
    barrier.wait()
    export()


def test_two_processes_export_at_once_and_both_find_it():
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    processes = [context.Process(target=_export_in, args=(barrier,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert onnx.load(export())
    assert len(list(folder().iterdir())) == 1


def test_an_export_that_fails_leaves_nothing():
    class Unexportable(SmallNet):
        def forward(self, images):
            return super().forward(images) if images.sum().item() > 0 else images

    with pytest.raises(torch.onnx.OnnxExporterError):
        exported(Unexportable().eval(), draw(1, torch.Generator().manual_seed(0)), quantised=False)
    assert list(folder().iterdir()) == []


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "pytest-gpuperf").write_text("a file")
    with pytest.raises(OSError, match="pytest-gpuperf"):
        export()


def test_who_comes_second_leaves_what_the_first_has_made(tmp_path):
    path = tmp_path / "exports" / "key" / "model.onnx"

    def write(into):
        into.write_text("second")
        path.parent.mkdir()
        path.write_text("first")

    onnx_export._make(path, write)
    assert path.read_text() == "first"
    assert [p.name for p in path.parent.parent.iterdir()] == ["key"]


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path):
    def write(into):
        into.write_text("half a fi")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        onnx_export._make(tmp_path / "exports" / "key" / "model.onnx", write)
    assert list((tmp_path / "exports").iterdir()) == []
