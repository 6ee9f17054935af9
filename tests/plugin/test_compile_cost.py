"""A user measures what torch.compile made: the run keeps what compiling took, apart from the figures."""

from __future__ import annotations

from pytest_gpuperf.records.files import read_run

SUITE = """
    import pytest
    import torch

    class Prints(torch.nn.Module):
        def forward(self, x):
            y = x + 1
            torch._dynamo.graph_break()
            return y * 2

    @pytest.mark.parametrize("backend", ["eager", "compile"])
    def test_prints(gpuperf, backend):
        torch.compiler.reset()
        model = Prints()
        call = torch.compile(model, backend="eager") if backend == "compile" else model
        measured = gpuperf(call, torch.ones(4))
        if backend == "compile":
            assert measured.compile_cost.breaks == 1
            assert measured.compile_cost.graphs == 2
        else:
            assert measured.compile_cost is None
"""


def test_a_compiled_call_keeps_what_compiling_took(story):
    story.suite(SUITE)
    # In a process of its own: the compiler loads what pytester would forget, and what cannot be loaded twice.
    options = ("--gpuperf-device=cpu", "--gpuperf-budget=0.2", "--gpuperf-save=run.json", "--gpuperf-html=page")
    result = story.pytester.runpytest_subprocess(*options)
    result.assert_outcomes(passed=2)
    plain, compiled = read_run(story.path / "run.json").cases
    assert plain.measurements[0].compile_cost is None
    assert compiled.measurements[0].compile_cost.in_compiler > 0
    page = (story.path / "page" / "index.html").read_text()
    assert "compiled as" in page
    assert "2 graphs, 1 break (" in page
