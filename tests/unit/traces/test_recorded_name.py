"""What the files of traces are called."""

from __future__ import annotations

import re

import pytest

from pytest_gpuperf.traces.recorded_name import trace_name

MODEL = "tests/perf/test_models.py::test_model[resnet50-fp32-eager-8]"
CONFIGURATION = re.compile(r"gpu\d+_numa\d+_vit\d+x\d+x\d+_[\w-]+")  # as studies of them name their files


def test_a_name_is_read_off_the_cases_own():
    assert re.fullmatch(
        r"test_models-test_model-resnet50-fp32-eager-8-[0-9a-f]{8}\.json\.gz", trace_name(MODEL, {}, 0, 0)
    )


@pytest.mark.parametrize(
    "case",
    [
        't.py::test[a/b\\c:d*?"<>|]#flush',
        "t.py::test[../../etc/passwd]",
        "t.py::test[日本語]",
        "t.py::" + "x" * 900,
        "日本語",
        "",
        "t.py::test[-]",
    ],
)
def test_a_name_is_safe_and_short(case):
    name = trace_name(case, {}, None, None)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.json\.gz", name)
    assert len(name) < 160


def test_no_two_cases_share_a_name():
    alike = [f"t.py::test[{'x' * 300}{end}]" for end in ("a", "b", "/", "\\", "日", "本")]
    assert len({trace_name(case, {}, None, None) for case in alike}) == len(alike)
    assert trace_name("a/t.py::test", {}, None, None) != trace_name("b/t.py::test", {}, None, None)


@pytest.mark.parametrize(
    ("parameters", "rest"),
    [
        ({"model": "vit:p16-d12-h768-r224", "backend": "compile-max-autotune"}, "compile-max-autotune-r224-"),
        ({"patch": "16", "depth": "12", "hidden": "768", "resolution": "512", "place": "remote"}, "remote-r512-"),
        ({"model": "vit:p16-d12-h768-r224"}, "eager-r224-"),
    ],
)
def test_a_vision_transformer_is_named_by_its_sizes(parameters, rest):
    name = trace_name(MODEL, parameters, 0, 1)
    assert name.startswith(f"gpu0_numa1_vit16x12x768_{rest}")
    assert CONFIGURATION.fullmatch(name.removesuffix(".json.gz"))


@pytest.mark.parametrize(
    ("gpu", "node", "start"), [(None, None, "vit16x"), (2, None, "gpu2_vit16x"), (None, 3, "numa3_vit16x")]
)
def test_what_is_not_known_is_left_out(gpu, node, start):
    assert trace_name(MODEL, {"model": "vit:p16-d12-h768-r224"}, gpu, node).startswith(start)


@pytest.mark.parametrize("parameters", [{"model": "vit:p16"}, {"patch": "16", "depth": "12"}, {"model": "resnet50"}])
def test_what_has_not_all_sizes_is_named_as_any_case(parameters):
    assert trace_name(MODEL, parameters, 0, 0).startswith("test_models-test_model-")
