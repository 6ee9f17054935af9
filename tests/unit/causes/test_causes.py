"""Causes read off two profiles. Those of a card are made up: the files beside this one say what must be recognised."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pytest_gpuperf.causes.explain import Cause, Explanation, ProfiledSide, explain
from pytest_gpuperf.causes.kernels import KernelChange, family, kernel_changes, type_in
from pytest_gpuperf.causes.profile_pair import listed
from pytest_gpuperf.causes.structure import elements
from pytest_gpuperf.records.model import Kernel, Profile
from pytest_gpuperf.records.units import many
from pytest_gpuperf.reports.why import sentences, why

MADE_UP = sorted((Path(__file__).parent / "made_up_profiles").glob("*.json"))


class Story(msgspec.Struct):
    """A change of which the cause is known."""

    made_up: str
    causes: list[str]  # the kinds, the most likely first
    says: list[str]
    seconds: tuple[float, float]
    sm_clock: tuple[float, float]
    software: tuple[dict[str, str], dict[str, str]]
    before: Profile
    after: Profile


def side(profile: Profile | None = None, seconds: float = 1e-3, **changes: object) -> ProfiledSide:
    return ProfiledSide(profile=profile, seconds=seconds, **changes)  # type: ignore[arg-type]


def profile(*kernels: Kernel, unit: str = "operator", idle: float = 0.0, **changes: object) -> Profile:
    fields: dict[str, object] = {
        "launches": sum(k.count for k in kernels),
        "busy": sum(k.seconds for k in kernels),
    }
    return Profile(session="s", unit=unit, idle=idle, kernels=kernels, **(fields | changes))  # type: ignore[arg-type]


def kernel(name: str, seconds: float = 1e-3, count: int = 1, **changes: object) -> Kernel:
    return Kernel(name=name, seconds=seconds, count=count, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", MADE_UP, ids=lambda path: path.stem)
def test_a_cause_is_recognised_in_kernels(path: Path) -> None:
    story = msgspec.json.decode(path.read_bytes(), type=Story)
    before, after = (
        ProfiledSide(profile=p, seconds=s, sm_clock=c, software=w, canaries={"product": s})
        for p, s, c, w in zip((story.before, story.after), story.seconds, story.sm_clock, story.software, strict=True)
    )
    found = explain(before, after)
    assert [cause.kind for cause in found.causes] == story.causes, sentences(found)
    said = why(found) + "; ".join(sentences(found))
    assert [part for part in story.says if part not in said] == []


def test_without_profiles_software_and_clocks_remain() -> None:
    before = side(sm_clock=1980.0, software={"torch": "2.13.0", "driver": "570", "python": "3.11"})
    after = side(seconds=1.1e-3, sm_clock=1800.0, software={"torch": "2.15.0", "driver": "595", "python": "3.12"})
    found = explain(before, after)
    assert [c.kind for c in found.causes] == ["software", "machine"]
    assert found.causes[0].sentence == "other software: driver 570 -> 595, torch 2.13.0 -> 2.15.0"
    assert found.software == ("driver 570 -> 595", "python 3.11 -> 3.12", "torch 2.13.0 -> 2.15.0")
    assert found.kernels == ()
    assert found.clock == (1980.0, 1800.0)


def test_nothing_is_known_of_two_calls_that_nobody_profiled() -> None:
    assert explain(side(), side(seconds=2e-3)) == Explanation(seconds=(1e-3, 2e-3))


def test_kernels_of_a_card_are_not_compared_with_operators_of_a_host() -> None:
    found = explain(side(profile(kernel("mm"))), side(profile(kernel("mm"), unit="kernel")))
    assert found.kernels == ()


def test_a_clock_that_moved_is_told_once() -> None:
    names = ("mm", "relu", "softmax")
    before = profile(*(kernel(n) for n in names), unit="kernel")
    after = profile(*(kernel(n, 1.2e-3) for n in names), unit="kernel")
    found = explain(side(before, 3e-3, sm_clock=1980.0), side(after, 3.6e-3, sm_clock=1650.0))
    assert [c.kind for c in found.causes] == ["machine"]
    other = profile(*(kernel(n) for n in names), kernel("copy_", 0.6e-3), unit="kernel")
    found = explain(side(before, 3e-3, sm_clock=1980.0), side(other, 3.6e-3, sm_clock=1650.0))
    assert [c.kind for c in found.causes] == ["copy", "machine"]


def test_what_accounts_for_next_to_nothing_comes_last() -> None:
    before = profile(kernel("mm"), idle=1e-4)
    after = profile(kernel("mm"), kernel("copy_", 1e-6), idle=1e-3)
    found = explain(side(before, 1.1e-3), side(after, 2e-3))
    assert [c.kind for c in found.causes] == ["idle", "copy"]
    assert "of the change" not in sentences(found)[1]


def test_the_same_kernels_are_faster_too() -> None:
    before = profile(kernel("mm", 4e-3), kernel("relu", 1e-3))
    after = profile(kernel("mm", 2e-3), kernel("relu", 1e-3))
    found = explain(side(before, 5e-3), side(after, 3e-3))
    assert found.causes[0].sentence.startswith("the same kernels, and one of them faster: mm")
    back = explain(side(profile(kernel("mm"), idle=3e-3), 4e-3), side(profile(kernel("mm")), 1e-3))
    assert back.causes[0].sentence == "the same kernels, and less time outside torch's operators: 3.00 ms -> 1.00 ns"
    gpu = explain(
        side(profile(kernel("mm"), idle=3e-3, unit="kernel"), 4e-3), side(profile(kernel("mm"), unit="kernel"), 1e-3)
    )
    assert "the GPU waits less for the host" in gpu.causes[0].sentence


def test_times_that_contradict_the_timed_figure_are_not_believed() -> None:
    before = profile(kernel("mm"), kernel("relu"))
    after = profile(kernel("mm", 9e-3), kernel("relu"))
    assert [c.kind for c in explain(side(before, 2e-3), side(after, 2.1e-3)).causes] == ["nothing"]
    assert [c.kind for c in explain(side(before, 2e-3), side(after, 1.9e-3)).causes] == ["nothing"]


def test_one_kernel_that_changed_as_the_others_did_is_the_machine() -> None:
    before = profile(kernel("mm", 9e-3), kernel("relu", 1e-3))
    after = profile(kernel("mm", 18e-3), kernel("relu", 2e-3))
    assert [c.kind for c in explain(side(before, 10e-3), side(after, 20e-3)).causes] == ["machine"]


def test_neither_one_nor_all() -> None:
    before = profile(kernel("mm", 3e-3), kernel("bmm", 3e-3), kernel("relu", 3e-3), kernel("gelu", 3e-3))
    after = profile(kernel("mm", 5e-3), kernel("bmm", 5e-3), kernel("relu", 3e-3), kernel("gelu", 3e-3))
    assert [c.kind for c in explain(side(before, 12e-3), side(after, 16e-3)).causes] == ["nothing"]


def test_profiles_of_nothing() -> None:
    empty = profile(launches=0, busy=0.0)
    found = explain(side(empty), side(empty, 2e-3))
    assert [c.kind for c in found.causes] == ["nothing"]


def test_fewer_threads_and_what_they_bring() -> None:
    before = profile(kernel("mm"), kernel("relu"), settings={"threads": "4", "onednn": "on"})
    after = profile(kernel("mm", 2e-3), kernel("relu", 2e-3), settings={"threads": "2", "onednn": "off"})
    found = explain(side(before, 2e-3), side(after, 4e-3))
    assert sentences(found) == [
        "torch's setting onednn on -> off",
        "torch's setting threads 4 -> 2, all of the change",
    ]
    assert found.settings == ("onednn on -> off", "threads 4 -> 2")


def test_threads_account_for_nothing_that_the_profile_does_not_show() -> None:
    before = profile(kernel("mm"), settings={"threads": "4"})
    after = profile(kernel("mm"), settings={"threads": "2"})
    assert sentences(explain(side(before), side(after, 2e-3))) == ["torch's setting threads 4 -> 2"]


def test_a_copy_is_told_before_threads_that_would_not_add_one() -> None:
    before = profile(kernel("mm"), settings={"threads": "1"})
    after = profile(kernel("mm"), kernel("copy_"), settings={"threads": "2"})
    found = explain(side(before, 1e-3), side(after, 2e-3))
    assert [c.kind for c in found.causes] == ["copy", "setting"]
    assert sentences(found)[-1] == "torch's setting threads 1 -> 2"  # and accounts for nothing


def test_a_copy_that_a_cast_brings_is_part_of_it_unless_it_matters() -> None:
    def bf16(seconds: float) -> Profile:
        return profile(kernel("addmm", inputs={"bf16": 1}), kernel("copy_", seconds))

    fp32 = profile(kernel("addmm", 2e-3, inputs={"fp32": 1}))
    assert [c.kind for c in explain(side(bf16(1e-5), 1e-3), side(fp32, 2e-3)).causes] == ["precision"]
    more = explain(side(bf16(0.8e-3), 1.8e-3), side(fp32, 2e-3))
    assert [c.kind for c in more.causes] == ["precision", "copy"]


def test_parameters_alone_tell_a_precision_too() -> None:
    before, after = (profile(kernel("mm"), parameters={kind: 2**20}) for kind in ("fp16", "fp32"))
    found = explain(side(before), side(after, 2e-3))
    assert found.causes[0].sentence == "parameters 1.00 MiB fp16 -> 1.00 MiB fp32"
    unknown = explain(side(profile(kernel("mm"))), side(after, 2e-3))
    assert [c.kind for c in unknown.causes] == ["nothing"]


def test_smaller_inputs() -> None:
    before, after = (profile(kernel("mm", s, shape=shape)) for s, shape in ((2e-3, "64x64"), (1e-3, "32x64")))
    assert sentences(explain(side(before, 2e-3), side(after, 1e-3))) == [
        "smaller inputs: 64x64 -> 32x64 in mm, all of the change"
    ]


def test_one_odd_shape_among_others_is_no_other_input() -> None:
    rest = [kernel("mm", 5e-3, shape="64x64")]
    before, after = (profile(*rest, kernel("relu", 1e-4, shape=shape)) for shape in ("64x64", "32x64"))
    assert [c.kind for c in explain(side(before, 5e-3), side(after, 4e-3)).causes] == ["nothing"]


def test_half_as_often() -> None:
    before, after = (
        profile(kernel("mm", 2e-3, 4), kernel("relu", 1e-3, 2)),
        profile(kernel("mm", 1e-3, 2), kernel("relu", 5e-4)),
    )
    assert sentences(explain(side(before, 3e-3), side(after, 1.5e-3))) == [
        "every kernel ran 2 times as often before: the same work, repeated, all of the change"
    ]


def test_some_more_often_in_no_known_pattern() -> None:
    before = profile(kernel("mm", 2e-3, 4), kernel("sort", 1e-3, 2), kernel("topk", 1e-3))
    after = profile(kernel("mm", 4e-3, 7), kernel("sort", 5e-4, 1), kernel("argmax", 1e-3))
    assert sentences(explain(side(before, 4e-3), side(after, 5.5e-3))) == [
        (
            "1 operator new: argmax; 1 operator gone: topk; 1 operator more often: mm x3; 1 operator less often: sort, "
            "all of the change"
        )
    ]


def test_channels_last_gained_and_steps_gone() -> None:
    image = {"shape": "8x16x56x56"}
    before = profile(kernel("conv", 3e-3, inputs={"fp32": 1}, **image), kernel("native_batch_norm", **image))
    after = profile(kernel("conv", 1e-3, inputs={"fp32 channels_last": 1}, **image))
    assert sentences(explain(side(before, 4e-3), side(after, 1e-3))) == [
        (
            "channels_last instead of contiguous memory: 0% -> 100% of the kernels on images take channels_last, "
            "all of the change"
        ),
        "steps that became part of other kernels, or are gone: native_batch_norm, 33% of the change",
    ]


def test_reorders_gone() -> None:
    before, after = profile(kernel("mm"), kernel("nchwToNhwcKernel", 1e-3, 2)), profile(kernel("mm"))
    assert sentences(explain(side(before, 2e-3), side(after, 1e-3)))[0].startswith(
        "2 kernels fewer that only reorder memory: nchwToNhwcKernel x2"
    )


def test_a_change_of_nothing_has_no_shares() -> None:
    before, after = profile(kernel("mm")), profile(kernel("mm"), kernel("copy_"))
    assert sentences(explain(side(before), side(after))) == ["1 copy more: copy_"]
    bare = Explanation(causes=(Cause(kind="copy", sentence="1 copy more", seconds=1.0),))
    assert sentences(bare) == ["1 copy more"]


def test_kernels_appear_vanish_grow_and_shrink() -> None:
    before = profile(kernel("a", 4e-3), kernel("b", 3e-3), kernel("c", 2e-3, 2), kernel("d", 1e-3), kernel("e", 1e-3))
    after = profile(kernel("a", 8e-3), kernel("f", 3e-3), kernel("c", 2e-3, 1), kernel("d", 1.1e-3), kernel("e", 5e-4))
    words = {c.name: c.word for c in kernel_changes(before, after)}
    assert words == {"a": "grew", "b": "vanished", "c": "shrank", "d": "same", "e": "shrank", "f": "appeared"}


def test_a_kernel_just_below_the_list_has_not_appeared() -> None:
    """A profile keeps the longest only: a short one may have been there."""
    listed_before = profile(kernel("mm", 1e-2), kernel("add", 1e-4), launches=9)
    now = profile(kernel("mm", 1e-2), kernel("mul", 1.5e-4), kernel("sort", 1e-3), launches=9)
    assert {c.name: c.word for c in kernel_changes(listed_before, now)} == {
        "mm": "same",
        "sort": "appeared",
    }
    assert {c.name: c.word for c in kernel_changes(now, listed_before)}["sort"] == "vanished"


def test_names_in_sentences_are_few() -> None:
    changes = [
        KernelChange(name=n, word="appeared", count=(0, c), seconds=(0.0, s))
        for n, c, s in (("a", 1, 4.0), ("b", 2, 3.0), ("c", 1, 2.0), ("d", 1, 1.0))
    ]
    assert listed(changes) == "a, b x2, c and 1 more"
    assert (many(1, "copy"), many(2, "copy"), many(2, "kernel")) == ("1 copy", "2 copies", "2 kernels")
    assert (elements("8x3"), elements("scalar")) == (24, 1)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("nchwToNhwcKernel fp16", "reorder"),
        ("_scaled_dot_product_flash_attention_for_cpu", "attention"),
        ("fmha_cutlassF_f16_aligned_64x64_rf_sm80", "attention"),
        ("triton_poi_fused_add_relu", "fused"),
        ("mkldnn_convolution", "convolution"),
        ("ampere_fp16_s16816gemm_fp16_128x64_ldg8_f2f_stages_64x3_tn", "product"),
        ("addmm", "product"),
        ("native_layer_norm", "norm"),
        ("softmax_warp_forward fp16", "softmax"),
        ("max_pool2d_with_indices", "pool"),
        ("copy_", "copy"),
        ("Memcpy DtoH (Device -> Pageable)", "copy"),
        ("elementwise copy fp16", "copy"),
        ("elementwise add fp16", "elementwise"),
        ("relu_", "elementwise"),
        ("sort", "other"),
    ],
)
def test_families(name: str, kind: str) -> None:
    assert family(name) == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ampere_bf16_s16816gemm_bf16_128x64", "bf16"),
        ("volta_hgemm_128x64_nn", "fp16"),
        ("sm80_xmma_fprop_implicit_gemm_tf32f32_tf32f32_f32", "tf32"),
        ("cutlass_80_tensorop_s1688gemm_128x128", "tf32"),
        ("ampere_sgemm_128x64_tn", "fp32"),
        ("volta_dgemm_64x64", "fp64"),
        ("cutlass_tensorop_i8816gemm_s8", "int8"),
        ("sm90_fp8_e4m3_gemm", "fp8"),
        ("splitKreduce_kernel", None),
    ],
)
def test_types_in_names(name: str, kind: str | None) -> None:
    assert type_in(name) == kind
