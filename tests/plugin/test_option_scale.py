"""Story: this project's own suite, at the papers' sizes on a GPU and small on a laptop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def suite(*arguments, **kwargs):
    command = [sys.executable, "-m", "pytest", "tests/perf", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, **kwargs)


def ids(*arguments):
    found = suite("--collect-only", *arguments).stdout.split("\n")
    return [line.partition("::")[2] for line in found if "::" in line]


def test_the_quick_part_is_small_on_a_processor():
    assert ids("-m", "quick", "--gpuperf-device", "cpu") == [
        f"test_model[{model}-{precision}-eager-{batch}-smoke]"
        for model in ("resnet50", "vit_b_16")
        for precision in ("fp32", "autocast_bf16")
        for batch in (1, 8)
    ]


def test_a_gpu_gets_the_papers_sizes_and_half_precision():
    found = ids()
    published = [
        f"test_model[{model}-{way}-{batch}]"
        for model in ("resnet50", "vit_b_16")
        for way in ("fp32-eager", "autocast_fp16-eager", "fp32-torchscript")
        for batch in (1, 8, 16, 32)
    ]
    assert set(published) < set(found)
    assert len(set(found)) == len(found)
    assert {"test_model[ViT-B-32-fp32-onnxruntime-32]", "test_model[resnet50-fp32-cudagraph-1]"} < set(found)


def test_a_scale_that_is_asked_for_is_taken():
    assert ids("--gpuperf-device", "cpu", "--gpuperf-scale", "full", "-k", "resnet50-fp32-eager-1") == [
        "test_model[resnet50-fp32-eager-1]",
        "test_model[resnet50-fp32-eager-16]",
    ]
    wrong = suite("--gpuperf-scale", "huge")
    assert wrong.returncode == 4
    assert "--gpuperf-scale: 'huge' is not one of: full, smoke." in wrong.stderr


def test_what_cannot_be_is_a_skip_with_its_reason():
    done = suite("--gpuperf-device", "cpu", "-k", "vit_b_16-fp32-cudagraph-1", "-rs")
    assert "CUDA graphs exist on CUDA devices only" in done.stdout
    assert "1 skipped" in done.stdout


@pytest.mark.parametrize(("options", "outcome"), [([], "1 skipped"), (["--gpuperf-require-backend"], "1 error")])
def test_an_absent_back_end_is_a_skip_unless_it_is_required(tmp_path, options, outcome):
    (tmp_path / "hidden.py").write_text("import sys\nsys.modules['onnxruntime'] = None\n")
    case = ["-k", "vit_b_16-fp32-onnxruntime-1", "--gpuperf-device", "cpu", "-p", "hidden", "-rsE"]
    done = suite(*case, *options, env={"PYTHONPATH": str(tmp_path)})
    assert outcome in done.stdout
    assert "onnxruntime needs onnxruntime, which is not installed. Install it with: pip install" in done.stdout
