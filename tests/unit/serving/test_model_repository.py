"""A workload as Triton's model repository: what is written, for which back end, and what is refused."""

from __future__ import annotations

import re
import sys
from importlib.resources import files
from runpy import run_path
from types import SimpleNamespace

import pytest
import torch
from small_net import SmallNet, TwoHeads, draw, small

from pytest_gpuperf.errors import FileError, MissingError, UsageError
from pytest_gpuperf.models import Built, Workload
from pytest_gpuperf.serving.deployment import Deployment, Tensor
from pytest_gpuperf.serving.model_repository import write

NATIVE = ("onnxruntime", "python")


def config(folder, model="small") -> str:
    return (folder / model / "config.pbtxt").read_text()


def test_a_torch_that_cannot_move_a_program_says_which_one_can(monkeypatch):
    triton = SimpleNamespace(TritonModelException=type("TritonModelException", (Exception,), {}))
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", triton)  # Triton brings it
    monkeypatch.setitem(sys.modules, "torch.export.passes", None)  # as torch 2.4 has it
    served_model = run_path(str(files("pytest_gpuperf.serving") / "served_model.py"))
    with pytest.raises(triton.TritonModelException, match=r"torch 2\.5 or newer is needed .* to cuda:0"):
        served_model["move"](None, "cuda:0")


def test_onnx_in_the_python_back_end(tmp_path):
    written = write(small(TwoHeads), Deployment(instances=2, threads=3), tmp_path)
    assert written.backend == "python"
    assert written.signature.inputs == (Tensor("input_0", "FP32", (3, 8, 8)),)
    assert written.signature.outputs == (Tensor("output_0", "FP32", (5,)), Tensor("output_1", "FP32", (5,)))
    assert {p.name for p in (tmp_path / "small" / "1").iterdir()} >= {"model.onnx", "model.py"}
    text = config(tmp_path)
    for line in (
        'name: "small"',
        'backend: "python"',
        "max_batch_size: 32",
        'input [ { name: "input_0" data_type: TYPE_FP32 dims: [ 3, 8, 8 ] } ]',
        'output [ { name: "output_1" data_type: TYPE_FP32 dims: [ 5 ] } ]',
        "instance_group [ { kind: KIND_CPU count: 2 } ]",
        "  preferred_batch_size: [ 4, 8, 16, 32 ]",
        "  max_queue_delay_microseconds: 10000",
        'parameters { key: "threads" value { string_value: "3" } }',
    ):
        assert line in text.splitlines()
    assert "cuda" not in text
    assert 'name: "gpuperf_null"' in config(tmp_path, "gpuperf_null")


def test_a_path_with_a_space_is_refused_where_the_python_back_end_serves(tmp_path):
    with pytest.raises(UsageError, match=r"takes a path apart at its spaces(.|\n)*--basetemp"):
        write(small(), Deployment(), tmp_path / "my models")
    assert write(small(), Deployment(), tmp_path / "my models", ("onnxruntime",)).backend == "onnxruntime"


def test_onnx_in_triton_s_own_back_end_has_the_file_s_names_and_no_python(tmp_path):
    written = write(small(), Deployment(threads=2), tmp_path, NATIVE)
    assert written.backend == "onnxruntime"
    assert not (tmp_path / "small" / "1" / "model.py").exists()
    text = config(tmp_path)
    assert f'name: "{written.signature.inputs[0].name}" data_type' in text
    assert written.signature.inputs[0].name == "images"
    assert 'parameters { key: "intra_op_thread_count" value { string_value: "2" } }' in text


def test_torch_is_the_python_back_end_s_wherever_it_runs(tmp_path):
    written = write(small(), Deployment(runtime="torch", batching=False, precision="autocast_bf16"), tmp_path, NATIVE)
    assert written.backend == "python"
    assert (tmp_path / "small" / "1" / "model.pt2").exists()
    assert "dynamic_batching" not in config(tmp_path)
    assert 'key: "autocast" value { string_value: "bfloat16" }' in config(tmp_path)


def test_gpus_and_their_instances_and_graphs_that_do_not_act(tmp_path):
    deployment = Deployment(devices=("cuda:0", "cuda:2"), instances=2, precision="fp16", cuda_graphs=True)
    written = write(small(), deployment, tmp_path)
    text = config(tmp_path)
    assert "instance_group [ { kind: KIND_GPU count: 2 gpus: [ 0, 2 ] } ]" in text
    assert "data_type: TYPE_FP16" in text
    assert "optimization { cuda { graphs: true } }" in text
    assert written.cuda_graphs == "not effective: Triton's Python back end has none"
    assert write(small(), deployment, tmp_path, NATIVE).cuda_graphs.startswith("not effective: ")
    assert write(small(), Deployment(), tmp_path).cuda_graphs == "off"


def test_another_model_stays_and_the_same_one_is_replaced(tmp_path):
    (tmp_path / "other" / "1").mkdir(parents=True)
    write(small(), Deployment(), tmp_path)
    (tmp_path / "small" / "1" / "model.plan").touch()
    write(small(), Deployment(), tmp_path)
    assert (tmp_path / "other").exists()
    assert not (tmp_path / "small" / "1" / "model.plan").exists()


def test_a_folder_of_the_models_name_that_is_somebody_elses_is_left_as_it_is(tmp_path):
    mine = tmp_path / "small" / "mine.py"
    mine.parent.mkdir()
    mine.touch()
    with pytest.raises(FileError, match=r"small is left as it is: it is not empty, and gpuperf did not make it"):
        write(small(), Deployment(), tmp_path)
    assert list(tmp_path.rglob("*")) == [mine.parent, mine]


def test_an_export_that_fails_leaves_the_model_that_was_there(tmp_path):
    write(small(), Deployment(runtime="torch"), tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(MissingError, match=r"torch.export refuses the module"):
        write(small(Branches), Deployment(runtime="torch"), tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


class Branches(SmallNet):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images) if images.sum() > 0 else images.mean((2, 3)) @ torch.ones(3, 5)


class Words(SmallNet):
    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": super().forward(images)}


class Whole(SmallNet):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images).sum()


@pytest.mark.parametrize(
    ("kind", "deployment", "backends", "error", "says"),
    [
        (SmallNet, Deployment(precision="fp16"), ("python",), MissingError, "computes fp16 in fp32"),
        (SmallNet, Deployment(precision="int8", runtime="torch"), ("python",), MissingError, "int8 with the onnx"),
        (SmallNet, Deployment(runtime="torch"), ("onnxruntime",), UsageError, "has only onnxruntime. Take it off PATH"),
        (
            SmallNet,
            Deployment(precision="autocast_fp16", devices=("cuda:0",)),
            ("python",),
            MissingError,
            "no autocast",
        ),
        (Words, Deployment(), ("python",), UsageError, "this one gives dict"),
        (Whole, Deployment(), ("python",), UsageError, r"output 0 is \[\] of torch.float32 for a batch of 2"),
    ],
)
def test_what_cannot_be_served_is_refused_with_its_reason(kind, deployment, backends, error, says, tmp_path):
    with pytest.raises(error, match=says):
        write(small(kind), deployment, tmp_path, backends)
    assert not list(tmp_path.iterdir())


def test_a_module_that_torch_cannot_export_says_what_to_do(tmp_path):
    workload = small(Branches)
    with pytest.raises(MissingError, match=r"torch.export refuses the module(.|\n)*or serve it with torch_server"):
        write(workload, Deployment(runtime="torch"), tmp_path)


def test_types_that_no_client_has_are_refused(tmp_path):
    def complex_images(batch, generator):
        return (draw(batch, generator)[0].to(torch.complex64),)

    class Real(SmallNet):
        def forward(self, images):
            return super().forward(images.real)

    with pytest.raises(UsageError, match=re.escape("input 0 is [2, 3, 8, 8] of torch.complex64")):
        write(Workload("c", "smoke", Built(Real().eval(), complex_images)), Deployment(), tmp_path)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"could not be written to .*file: .*Choose another folder"):
        write(small(), Deployment(), tmp_path / "file")
