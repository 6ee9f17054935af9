"""--gpuperf-device and --gpuperf-require-gpu: where workloads run, and what is skipped."""

from __future__ import annotations

import pytest

from pytest_gpuperf.device import identity

torch = pytest.importorskip("torch")
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")

GPU = """
    @pytest.mark.gpu
    def test_spin(gpuperf):
        gpuperf(spin, 0.2)
"""


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "CPU", ""])
def test_an_unknown_device_is_refused(story, name):
    story.suite(GPU)
    result = story.pytester.runpytest_inprocess(f"--gpuperf-device={name}")
    if name:
        assert result.ret == 4
        result.stderr.fnmatch_lines(["ERROR: --gpuperf-device: unknown device*Choose auto, cpu, cuda or cuda:N*"])
    else:
        assert result.ret == 0  # empty is not given


@without_cuda
def test_cuda_where_there_is_none_is_exit_4(story):
    story.suite(GPU)
    result = story.pytester.runpytest_inprocess("--gpuperf-device", "cuda")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *"])


@without_cuda
def test_cuda_is_not_looked_for_when_nothing_needs_it(story):
    story.suite("""
        def test_plain():
            pass
    """)
    assert story.pytester.runpytest_inprocess("--gpuperf-device", "cuda").ret == 0


@without_cuda
def test_auto_skips_the_accelerator_suite_with_the_reason(story):
    story.suite(GPU)
    result = story.pytester.runpytest_inprocess("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*needs a GPU:*--gpuperf-device cpu*"])


@without_cuda
def test_auto_runs_what_is_not_of_the_accelerator_suite_on_the_cpu(story):
    story.suite("""
        def test_spin(gpuperf):
            assert gpuperf.device == "cpu"
            gpuperf(spin, 0.2)
    """)
    story.pytester.runpytest_inprocess().assert_outcomes(passed=1)


@without_cuda
@pytest.mark.parametrize(
    ("cards", "options", "said"), [(1, (), True), (0, (), False), (1, ("--gpuperf-device=cpu",), False)]
)
def test_a_card_that_cannot_be_used_is_not_passed_over_in_silence(story, monkeypatch, cards, options, said):
    monkeypatch.setattr(identity, "nvidia_cards", lambda: cards)
    story.suite("def test_spin(gpuperf):\n    gpuperf(spin, 0.2)\n")
    result = story.pytester.runpytest_inprocess("--gpuperf-budget=0.1", *options)
    result.assert_outcomes(passed=1)
    assert ("this machine has an NVIDIA card, which is not used: " in result.stdout.str()) == said


def test_an_explicit_cpu_runs_the_accelerator_suite(story):
    story.suite(GPU)
    story.run().assert_outcomes(passed=1)


@pytest.mark.parametrize("need", ["min_memory=1", "min_capability='7.0'", "count=2", "cuda_only=True"])
def test_an_explicit_cpu_skips_what_only_a_gpu_has(story, need):
    story.suite(GPU.replace("mark.gpu", f"mark.gpu({need})"))
    result = story.run("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines([f"*needs a GPU ({need.split('=')[0]})*"])


def test_an_unknown_need_is_refused(story):
    story.suite(GPU.replace("mark.gpu", "mark.gpu(memory=1)"))
    result = story.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *@gpu does not take memory. It takes: min_memory*"])


def test_a_capability_that_is_none_is_refused(story):
    story.suite(GPU.replace("mark.gpu", "mark.gpu(min_capability='Ampere')"))
    result = story.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["ERROR: *@gpu min_capability: 'Ampere' is no compute capability. Write it like '8.0'."]
    )


@without_cuda
def test_a_required_gpu_that_is_missing_is_an_error(story):
    story.suite(GPU)
    result = story.pytester.runpytest_inprocess("--gpuperf-require-gpu")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: A GPU is required*gpuperf doctor*"])


def test_a_required_gpu_is_not_the_cpu(story):
    story.suite(GPU)
    assert story.run("--gpuperf-require-gpu").ret == 4


def test_the_ini_file_names_the_device(story):
    story.suite(GPU)
    story.pytester.makeini("[pytest]\ngpuperf_device = cpu\n")
    story.pytester.runpytest_inprocess().assert_outcomes(passed=1)


def test_the_command_line_goes_above_the_ini_file(story):
    story.suite(GPU)
    story.pytester.makeini("[pytest]\ngpuperf_device = nonsense\n")
    story.run().assert_outcomes(passed=1)


def test_collecting_alone_chooses_no_device(story):
    story.suite(GPU)
    result = story.pytester.runpytest_inprocess("--collect-only", "--gpuperf-device", "cuda:7")
    assert result.ret == 0
