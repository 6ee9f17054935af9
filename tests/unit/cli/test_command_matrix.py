"""Story: what can be measured on this machine, before anything is."""

from __future__ import annotations

import sys

import pytest
from command import gpuperf

from pytest_gpuperf.cli import main


def test_every_back_end_answers_for_every_precision(tmp_path):
    done = gpuperf("matrix", "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0
    lines = done.stdout.split("\n")
    assert "resnet50, vit_b_16, vit_base_patch16_224, convnext_tiny, ViT-B-32:" in lines
    at = lines.index("  eager:")
    assert lines[at + 1 : at + 3] == [
        "    fp32, fp16, bf16, autocast_fp16, autocast_bf16, int8: yes",
        "    tf32: no: TF32 is a format of NVIDIA's tensor cores",
    ]
    assert (
        "    fp32, tf32, fp16, bf16, autocast_fp16, autocast_bf16, int8: no: CUDA graphs exist on CUDA devices only"
        in (" ".join(done.stdout.replace("\n      ", " ").split("\n  cudagraph:\n")[1:]).split("\n"))
    )
    assert "    autocast_fp16: risky: a trace under autocast" in done.stdout


def test_a_model_without_its_package_says_why(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "timm", None)
    assert main(["matrix", "--device", "cpu", "timm:resnet50"]) == 0
    shown = capsys.readouterr().out
    assert "timm:resnet50: no: timm:resnet50 needs timm, which is not installed." in shown
    assert "eager" not in shown


def test_an_unknown_model_is_an_error(capsys):
    assert main(["matrix", "--device", "cpu", "resnet5"]) == 4
    assert "Did you mean 'resnet50'?" in capsys.readouterr().err


def test_without_torch_there_is_no_matrix(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["matrix"]) == 4
    assert "pip install 'pytest-gpuperf[suite]'" in capsys.readouterr().err


@pytest.mark.parametrize("device", ["cuda", "tpu"])
def test_a_device_that_is_not_there_is_an_error(device, monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert main(["matrix", "--device", device]) == 4
    assert device in capsys.readouterr().err
