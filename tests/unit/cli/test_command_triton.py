"""Story: a Triton server for this user, and a model repository for any."""

from __future__ import annotations

import sys

import pytest
from small_net import SmallNet, draw

from pytest_gpuperf.cli import main
from pytest_gpuperf.models import Built, registry
from pytest_gpuperf.serving import install


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """A model of a user's own."""
    monkeypatch.setitem(registry._own, "tiny:net", lambda _scale, _pretrained: Built(SmallNet(), draw))


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A user without a Triton."""
    monkeypatch.setenv("GPUPERF_TRITON", str(tmp_path / "triton"))
    monkeypatch.setenv("PATH", "/usr/sbin")
    return tmp_path / "triton"


def test_it_says_which_server_there_is(nowhere, capsys):
    assert main(["triton"]) == 4
    assert "gpuperf triton install" in capsys.readouterr().err
    binary = install.binary(nowhere)
    binary.parent.mkdir(parents=True)
    binary.touch()
    assert main(["triton"]) == 0
    assert capsys.readouterr().out == f"Triton 2.51.0 in {nowhere} (back ends: python)\n"


def test_install_says_where_it_is(nowhere, capsys, monkeypatch):
    monkeypatch.setattr(install, "install", lambda where: where == nowhere)
    assert main(["triton", "install"]) == 0
    assert capsys.readouterr().out == f"Triton 2.51.0 is now in {nowhere}\n"
    monkeypatch.setattr(install, "install", lambda _: False)
    assert main(["triton", "install"]) == 0
    assert "was already in" in capsys.readouterr().out


@pytest.mark.usefixtures("nowhere")
def test_a_repository_for_another_machine(tmp_path, capsys):
    into = tmp_path / "models"
    arguments = ["--into", str(into), "--scale", "smoke", "--device", "cuda:0,cuda:1", "--instances", "2"]
    more = ["--preferred", "4,16", "--queue-delay", "5", "--cuda-graphs", "--precision", "fp16"]
    assert main(["triton", "model-repo", "tiny:net", *arguments, *more]) == 0
    assert capsys.readouterr().out == (
        f"{into}/tiny_net: back end python, on cuda:0, cuda:1\n"
        "CUDA graphs: not effective: Triton's Python back end has none\n"
        f"Serve it with: tritonserver --model-repository={into} --disable-auto-complete-config\n"
    )
    text = (into / "tiny_net" / "config.pbtxt").read_text()
    assert "instance_group [ { kind: KIND_GPU count: 2 gpus: [ 0, 1 ] } ]" in text
    assert "preferred_batch_size: [ 4, 16 ]" in text
    assert "max_queue_delay_microseconds: 5000" in text


def test_a_repository_for_a_back_end_of_one_s_choice(tmp_path, capsys):
    arguments = ["triton", "model-repo", "tiny:net", "--into", str(tmp_path), "--scale", "smoke", "--device", "cpu"]
    assert main([*arguments, "--backend", "onnxruntime", "--no-batching"]) == 0
    assert "back end onnxruntime, on cpu" in capsys.readouterr().out
    assert "dynamic_batching" not in (tmp_path / "tiny_net" / "config.pbtxt").read_text()


def test_on_this_machine_s_device_with_this_machine_s_back_ends(nowhere, tmp_path, capsys):
    stub = f"python_backend_stubs/3.{sys.version_info.minor}/triton_python_backend_stub"
    for name in ("bin/tritonserver", "backends/python/libtriton_python.so", stub):
        file = nowhere / "pytriton/tritonserver" / name
        file.parent.mkdir(parents=True)
        file.touch()
    assert main(["triton", "model-repo", "tiny:net", "--into", str(tmp_path / "m"), "--scale", "smoke"]) == 0
    said = capsys.readouterr().out
    assert "back end python, on c" in said
    assert f" {install.binary(nowhere)} --model-repository={tmp_path}/m " in said


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--preferred", "a"], "--preferred: 'a' is no list of whole numbers"),
        (["--device", "tpu"], "devices are cpu or cuda:N, not tpu"),
        (["--precision", "fp12"], "There is no precision 'fp12'"),
        (["--instances", "0"], "instances=0: it must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_an_error(more, says, tmp_path, capsys):
    assert main(["triton", "model-repo", "tiny:net", "--into", str(tmp_path), *more]) == 4
    assert says in capsys.readouterr().err


def test_without_torch_there_is_no_repository(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["triton", "model-repo", "tiny:net", "--into", str(tmp_path)]) == 4
    assert "pip install 'pytest-gpuperf[suite,onnx]'" in capsys.readouterr().err
