"""One call under the profiler, kept as a record."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pytest_gpuperf.records.model import KERNELS_KEPT, Profile
from pytest_gpuperf.traces import profile
from pytest_gpuperf.traces.names import units
from pytest_gpuperf.traces.profile import (
    Input,
    Piece,
    inputs_of,
    is_channels_last,
    on_card,
    profile_of,
    summarized,
    torch_settings,
    type_name,
)


def profiled(call: Any, seconds: float = 10.0) -> Profile:
    found = profile_of(call, lambda: None, cuda=False, session="s", seconds=seconds, parameters={"fp32": 8})
    assert found is not None
    return found


def test_operators_that_compute_with_what_they_were_given() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 2))
    x = torch.ones(2, 3, 8, 8).to(memory_format=torch.channels_last)
    model = model.to(memory_format=torch.channels_last).eval()
    with torch.inference_mode():
        found = profiled(lambda: model(x))
    ran = {k.name: k for k in found.kernels}
    assert ran["relu"].within is None
    assert ran["relu"].inputs == {"fp32 channels_last": 1}
    assert ran["relu"].shape == "2x4x6x6"
    assert (ran["addmm"].within, ran["addmm"].inputs, ran["addmm"].shape) == ("linear", {"fp32": 1}, "2x144")
    assert ran["copy_"].within == "flatten"  # an image whose channels lie side by side has to be copied for that
    assert any(k.within == "conv2d" for k in found.kernels)
    assert found.launches == sum(k.count for k in found.kernels) == len(found.kernels)
    assert found.busy == pytest.approx(sum(k.seconds for k in found.kernels))
    assert found.idle > 0
    assert (found.unit, found.session, found.parameters) == ("operator", "s", {"fp32": 8})
    assert list(found.kernels) == sorted(found.kernels, key=lambda k: -k.seconds)


def test_what_only_makes_room_or_looks_differently_is_no_work() -> None:
    x = torch.ones(4, 4)

    def call() -> None:
        x.view(16).unsqueeze(0).expand(2, 16).t()

    assert profile_of(call, lambda: None, cuda=False, session="s", seconds=1, parameters={}) is None


def test_a_call_without_torch_has_no_profile() -> None:
    nothing = profile_of(lambda: sum(range(9)), lambda: None, cuda=False, session="s", seconds=1, parameters={})
    assert nothing is None


def test_an_operator_of_somebody_else_counts_too() -> None:
    with torch.library._scoped_library("gpuperf_test", "FRAGMENT") as library:
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: x * 2, "CompositeImplicitAutograd")
        library.define("thrice(Tensor x) -> Tensor")
        library.impl("thrice", lambda x: x * 3, "CPU")
        x = torch.ones(4)
        found = profiled(lambda: (torch.ops.gpuperf_test.twice(x), torch.ops.gpuperf_test.thrice(x)))
    assert {(k.name, k.within) for k in found.kernels} == {
        ("mul", "gpuperf_test::twice"),
        ("gpuperf_test::thrice", None),
    }


def test_regions_with_names_are_looked_through() -> None:
    x = torch.ones(4, 4)

    def call() -> None:
        with torch.profiler.record_function("my step"):
            x.softmax(0)

    assert [(k.name, k.within) for k in profiled(call).kernels] == [("_softmax", "softmax")]


def test_a_call_that_something_interrupted_is_run_again() -> None:
    calls: list[int] = []
    x = torch.ones(4)

    def call() -> None:
        calls.append(1)
        x.add(1)

    profiled(call, seconds=10.0)
    assert len(calls) == 1
    calls.clear()
    profiled(lambda: (call(), torch.rand(2_000_000).sort()), seconds=1e-6)
    assert len(calls) == profile._TRIES


def test_the_longest_are_kept_and_the_rest_counted() -> None:
    pieces = [Piece(f"k{i:02}", None, float(i), 0.5 + i / 100, None) for i in range(KERNELS_KEPT + 5)]
    found = summarized(pieces, unit="kernel", wall=None)
    assert found.launches == KERNELS_KEPT + 5
    assert found.unlisted == 5
    assert found.kernels[0].name == f"k{KERNELS_KEPT + 4:02}"
    assert found.idle == pytest.approx(sum(0.5 - i / 100 for i in range(KERNELS_KEPT + 4)))


def test_kinds_of_inputs_are_counted_and_the_largest_shape_is_kept() -> None:
    inputs = [Input("fp32", "2x2"), Input("bf16", "8x8"), Input("bf16", "scalar"), None]
    pieces = [Piece("mm", "linear", float(i), 0.1, given) for i, given in enumerate(inputs)]
    (kernel,) = summarized(pieces, unit="operator", wall=5.0).kernels
    assert kernel.inputs == {"bf16": 2, "fp32": 1}
    assert kernel.shape == "8x8"


def event(name: str, start: float, end: float, where: str = "CPU", parent: Any = None, **more: Any) -> Any:
    """As torch's profiler gives it: microseconds."""
    return SimpleNamespace(
        name=name,
        id=more.pop("id", id(name)),
        time_range=SimpleNamespace(start=start, end=end),
        device_type=SimpleNamespace(name=where),
        cpu_parent=parent,
        cpu_children=[],
        **more,
    )


def test_kernels_of_a_card_know_the_operators_that_launched_them() -> None:
    conv = event("aten::conv2d", 0, 50, id=1)
    inner = event("aten::cudnn_convolution", 5, 40, parent=conv, id=2)
    inner.kernels = [SimpleNamespace(name="cudnn::ops::nchwToNhwcKernel<__half>(x)", duration=10)]
    room = event("aten::empty", 6, 7, parent=inner, id=3, kernels=[SimpleNamespace(name="fill", duration=2.0)])
    events = [
        conv,
        inner,
        room,
        event("cudnn::ops::nchwToNhwcKernel<__half>(x)", 60, 70, "CUDA"),
        event("fill", 75, 77, "CUDA"),
        event("Memcpy HtoD (Pageable -> Device)", 80, 84, "CUDA"),
    ]
    found = on_card(events, {2: Input("fp16 channels_last", "2x3x8x8")})
    assert [(p.name, p.within, p.input) for p in found] == [
        ("nchwToNhwcKernel fp16", "conv2d", Input("fp16 channels_last", "2x3x8x8")),
        ("fill", "conv2d", Input("fp16 channels_last", "2x3x8x8")),  # of the operator around it
        ("Memcpy HtoD (Pageable -> Device)", None, None),
    ]
    assert summarized(found, unit="kernel", wall=None).idle == pytest.approx(8e-6)


def test_events_of_a_card_are_no_operators() -> None:
    assert list(units([event("kernel", 0, 1, "CUDA"), event("cudaLaunchKernel", 0, 1)])) == []


def test_memory_formats() -> None:
    assert is_channels_last((2, 3, 4, 4), (48, 1, 12, 3))
    assert is_channels_last((2, 3, 2, 4, 4), (96, 1, 48, 12, 3))
    assert not is_channels_last((2, 3, 4, 4), (48, 16, 4, 1))
    assert not is_channels_last((2, 1, 4, 4), (16, 1, 4, 1))  # one channel: both orders are the same
    assert not is_channels_last((2, 3, 1, 1), (3, 1, 1, 1))  # one pixel: likewise
    assert not is_channels_last((2, 3), (3, 1))


def test_types_and_a_torch_without_a_tree() -> None:
    assert (type_name(torch.bfloat16), type_name(torch.int64)) == ("bf16", "int64")
    assert inputs_of(SimpleNamespace()) == {}


def test_lists_of_tensors_are_inputs_too() -> None:
    x = torch.ones(4, 4, dtype=torch.float64)
    (kernel,) = profiled(lambda: torch.cat([x, x])).kernels
    assert (kernel.name, kernel.inputs, kernel.shape) == ("cat", {"fp64": 1}, "4x4")


def test_settings_are_those_of_the_call() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            found = torch_settings(cuda=False)
    finally:
        torch.set_num_threads(threads)
    assert found["threads"] == "1"
    assert found["autocast"] == "bfloat16"
    assert found["gradients"] == "off"
    assert set(torch_settings(cuda=True)) >= {"cudnn.benchmark", "matmul precision", "flash attention"}


def test_settings_that_the_older_switches_contradict_are_read_all_the_same() -> None:
    if not hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        pytest.skip("this torch has the older switches only")
    code = (
        "import torch\n"
        "from pytest_gpuperf.traces.profile import torch_settings\n"
        "assert torch_settings(cuda=True)['matmul precision'] == 'highest'\n"
        "torch.backends.cuda.matmul.fp32_precision = 'tf32'\n"
        "torch.backends.cudnn.conv.fp32_precision = 'ieee'\n"
        "found = torch_settings(cuda=True)\n"
        "assert found['matmul precision'] == 'high', found\n"
        "wanted = 'off in convolutions, on in recurrent layers'\n"
        "assert found.get('cudnn tf32', wanted) == wanted, found\n"
        "assert torch_settings(cuda=False)['matmul precision'] == 'highest'\n"
        "torch.backends.mkldnn.matmul.fp32_precision = 'bf16'\n"
        "assert torch_settings(cuda=False)['matmul precision'] == 'medium'\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_an_older_torch_is_asked_by_its_own_names() -> None:
    older = SimpleNamespace(
        backends=SimpleNamespace(cuda=SimpleNamespace(matmul=SimpleNamespace(allow_tf32=True))),
        get_float32_matmul_precision=lambda: "high",
    )
    assert profile._matmul_precision(older, cuda=True) == "high"
    assert profile._tf32(SimpleNamespace(allow_tf32=True)) is True


def test_the_environment_and_the_terminal_stay_as_they_were(capfd: pytest.CaptureFixture[str]) -> None:
    before = dict(os.environ)
    x = torch.ones(2)
    profiled(lambda: x.add(1))
    assert dict(os.environ) == before
    assert "ERROR" not in capfd.readouterr().err
