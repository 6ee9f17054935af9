"""Story: what a test was parametrized with is kept beside its figures."""

from __future__ import annotations

import re

from command import gpuperf

from pytest_gpuperf.records.files import read_baseline, read_run


def test_parameters_are_kept_as_text_in_runs_and_baselines(story):
    story.suite("""
        from enum import Enum

        class Layout(Enum):
            NCHW = 1

        @pytest.fixture(params=["fp32"])
        def precision(request):
            return request.param

        @pytest.mark.parametrize("batch", [8])
        @pytest.mark.parametrize("scale", [None])
        @pytest.mark.parametrize("layout", [Layout.NCHW])
        @pytest.mark.parametrize("reduce", [sum])
        @pytest.mark.parametrize("shape", [(1, 2), (3, 4)])
        @pytest.mark.parametrize("text", ["x" * 201])
        @pytest.mark.parametrize("tensors", [[object()]])
        @pytest.mark.parametrize("network", [object()])
        def test_spin(gpuperf, precision, batch, scale, layout, reduce, shape, text, tensors, network):
            gpuperf(spin, 0.1)

        def test_plain(gpuperf):
            gpuperf(spin, 0.1)
    """)
    result = story.run("--gpuperf-save", "run.json")
    result.assert_outcomes(passed=3)
    plain, *others = sorted(read_run(story.path / "run.json").cases, key=lambda c: c.id)
    same = {"precision": "fp32", "batch": "8", "scale": "None", "layout": "NCHW", "reduce": "sum"}
    assert plain.parameters == {}
    assert [c.parameters for c in others] == [{**same, "shape": shape} for shape in ("(1, 2)", "(3, 4)")]

    assert gpuperf("accept", "run.json", "--into", "base.json", "--few", cwd=story.path).returncode == 0
    kept = {c.id: c.parameters for c in read_baseline(story.path / "base.json").cases}
    assert kept == {c.id: c.parameters for c in (plain, *others)}


def test_ratios_of_a_suite_that_was_just_measured(story):
    story.suite("""
        @pytest.mark.parametrize("batch", [1, 8])
        @pytest.mark.parametrize("precision", ["fp32", "fp16"])
        def test_model(gpuperf, precision, batch):
            gpuperf(spin, {"fp32": 2, "fp16": 1}[precision], items=batch)
    """)
    story.run("--gpuperf-save", "run.json").assert_outcomes(passed=4)
    done = gpuperf("ratios", "run.json", "--over", "precision", cwd=story.path)
    assert done.returncode == 0
    titles = [line for line in done.stdout.splitlines() if line.startswith("batch ")]
    assert titles == ["batch 1", "batch 8"]
    speedups = re.findall(r"^  fp16 .* ([0-9.]+)x ", done.stdout, re.MULTILINE)
    assert len(speedups) == 2
    assert all(1.5 < float(s) < 2.5 for s in speedups)
