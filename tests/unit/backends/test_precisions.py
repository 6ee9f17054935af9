from __future__ import annotations

import subprocess
import sys
import warnings
from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from small_net import small

from pytest_gpuperf.backends.precisions import PRECISIONS, arithmetic, lower, precision_of
from pytest_gpuperf.errors import UsageError

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "weights"), [("fp32", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16)]
)
def test_weights_are_of_the_precision(name, weights):
    lowered = lower(deepcopy(small().module), PRECISIONS[name], CPU)
    assert {p.dtype for p in lowered.parameters()} == {weights}


@pytest.mark.parametrize(("name", "computed"), [("autocast_fp16", torch.float16), ("autocast_bf16", torch.bfloat16)])
def test_autocast_computes_low_and_keeps_its_weights(name, computed):
    workload = small()
    lowered = lower(deepcopy(workload.module), PRECISIONS[name], CPU)
    assert {p.dtype for p in lowered.parameters()} == {torch.float32}
    with torch.inference_mode():
        assert lowered(*workload.inputs(2)).dtype == computed
    assert not torch.is_autocast_enabled("cpu")


def test_int8_rounds_the_linear_layers_and_warns_nobody():
    workload = small()
    lowered = lower(deepcopy(workload.module), PRECISIONS["int8"], CPU)
    assert "quantized" in type(lowered.head).__module__
    assert not torch.equal(lowered(*workload.inputs(2)), workload.module(*workload.inputs(2)))


def test_what_a_precision_computes_in():
    assert PRECISIONS["autocast_fp16"].computes_in == torch.float16
    assert PRECISIONS["bf16"].computes_in == torch.bfloat16
    assert PRECISIONS["tf32"].computes_in == torch.float32
    assert PRECISIONS["int8"].computes_in == torch.int8


OLDER = 'torch.set_float32_matmul_precision("medium"); torch.backends.cudnn.allow_tf32 = False'
NEWER = (
    "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
    "torch.backends.cudnn.conv.fp32_precision = 'ieee'",
    "torch.backends.cudnn.rnn.fp32_precision = 'ieee'; torch.backends.cudnn.allow_tf32 = False",
    "torch.backends.fp32_precision = 'tf32'",
    "torch.backends.cudnn.fp32_precision = 'ieee'",
    "torch.set_float32_matmul_precision('medium'); torch.backends.cuda.matmul.fp32_precision = 'ieee'",
)
HAS_NEWER = hasattr(torch.backends.cuda.matmul, "fp32_precision")


SWITCHES = """
from pytest_gpuperf.backends.precisions import PRECISIONS, arithmetic

matmul, cudnn, cpu = torch.backends.cuda.matmul, torch.backends.cudnn, torch.backends.mkldnn

def readings():
    return [read(older) for older in (
        torch.get_float32_matmul_precision, lambda: matmul.allow_tf32, lambda: cudnn.allow_tf32
    )] + newer()

def read(switch):
    try:
        return switch()
    except RuntimeError:
        return "contradicted"

def newer():
    if not hasattr(matmul, "fp32_precision"):
        return []
    return [part.fp32_precision for part in (torch.backends, cudnn, matmul, cpu.matmul, cudnn.conv, cudnn.rnn)]

before = readings()
for name, products in (("fp32", "highest"), ("tf32", "high")):
    with arithmetic(PRECISIONS[name]):
        within = readings()
        assert within[:3] == [products, name == "tf32", name == "tf32"], within
        assert set(within[5:]) <= {"tf32" if name == "tf32" else "ieee"}, within
        with arithmetic(PRECISIONS["fp32"]):
            pass
        assert readings() == within
    assert readings() == before, (before, readings())
"""


@pytest.mark.parametrize("before", ["", OLDER, *(NEWER if HAS_NEWER else ())])
def test_tf32_is_as_the_precision_says_and_as_it_was_afterwards(before):
    """In a process of its own: not every state of torch's switches can be put back."""
    subprocess.run([sys.executable, "-W", "error", "-c", f"import torch\n{before}\n{SWITCHES}"], check=True)


@pytest.mark.skipif(not HAS_NEWER, reason="this torch has the older switches only")
def test_what_inherits_its_precision_still_does_afterwards():
    code = (
        "import torch\n"
        "from pytest_gpuperf.backends.precisions import PRECISIONS, arithmetic\n"
        "with arithmetic(PRECISIONS['fp32']):\n"
        "    pass\n"
        "torch.backends.fp32_precision = 'tf32'\n"
        "assert torch.backends.cuda.matmul.fp32_precision == 'tf32'\n"
        "assert torch.backends.mkldnn.matmul.fp32_precision == 'tf32'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_older_torch_has_the_older_switches_only(monkeypatch):
    monkeypatch.setattr(torch.backends.cuda, "matmul", SimpleNamespace(allow_tf32=False))  # as torch 2.8 has it
    before = torch.get_float32_matmul_precision()
    with arithmetic(PRECISIONS["tf32"]):
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.allow_tf32
    assert torch.get_float32_matmul_precision() == before


def test_a_warning_of_deprecated_switches_is_no_error(monkeypatch):
    set_precision = torch.set_float32_matmul_precision

    def warned(precision):
        warnings.warn("Please use the new API settings to control TF32 behavior, such as ...", UserWarning, 2)
        set_precision(precision)

    monkeypatch.setattr(torch, "set_float32_matmul_precision", warned)  # as torch 2.9 says it
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with arithmetic(PRECISIONS["fp32"]):
            assert torch.get_float32_matmul_precision() == "highest"
            with pytest.raises(UserWarning, match="another"):
                warnings.warn("another", UserWarning, 1)


def test_an_unknown_precision_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match=r"no precision 'fp8'. The precisions are: fp32, tf32"):
        precision_of("fp8")
