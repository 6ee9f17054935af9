"""A pipeline is a case: recorded, judged, and there to be asserted on."""

from __future__ import annotations

import textwrap
from xml.etree import ElementTree as ET

import pytest
import torch  # noqa: F401 - pytester forgets what a session imported, and torch cannot be loaded twice

from pytest_gpuperf.records.files import read_run

SUITE = """
    from time import sleep
    from pytest_gpuperf import PipelineStage

    CALLS = []

    def decode(item):
        CALLS.append(item)
        sleep({decode})
        return item

    def infer(item):
        sleep(0.001)
        return item

    def test_images(gpuperf_pipeline):
        figures = gpuperf_pipeline(
            [PipelineStage("decode", decode), PipelineStage("inference", infer)], source=range(4), batch=8{more}
        )
        {check}
"""
CHECK = 'assert figures.bottleneck == "decode" and figures.efficiency > 0.5'


def suite(story, decode=0.004, more="", check=CHECK):
    story.suite(SUITE.format(decode=decode, more=more, check=check))


def test_a_pipeline_is_recorded_and_one_with_a_slower_stage_fails_its_test(story):
    suite(story)
    story.record("--junitxml", "junit.xml")
    (case,) = read_run(story.path / "run.json").cases
    (measured,) = case.measurements
    assert measured.items == 8
    assert measured.pipeline.stage("decode").busy > 0.004
    assert measured.throughput == pytest.approx(measured.pipeline.throughput, rel=0.3)
    assert measured.pipeline.reason.startswith("decode is busy for")
    (test,) = ET.parse(story.path / "junit.xml").findall(".//testcase")
    properties = {p.get("name"): p.get("value") for p in test.iter("property")}
    assert properties["gpuperf.bottleneck"] == "decode"
    assert float(properties["gpuperf.efficiency"]) == pytest.approx(measured.pipeline.efficiency, rel=1e-4)
    suite(story, decode=0.012)
    result = story.run("--gpuperf-compare", "base.json", "--gpuperf-confirm", "in-test")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["time per call regressed: *test_images"])


def test_the_stages_of_each_pipeline_stand_below_the_table(story):
    suite(story)
    result = story.run()
    result.stdout.fnmatch_lines(
        [
            "pipeline test_perf.py::test_images",
            "  * /s, *% of what decode allows, limited by decode",
            "stage*where*an item*alone*works*no item*no room*queue",
            "decode*1 thread*ms*",
            "inference*1 thread*ms*",
            "why: decode is busy for *",
        ]
    )


def test_disabled_each_stage_runs_once(story):
    suite(story, check="assert CALLS == [0] and figures.items == 1 and figures.stages[1].name == 'inference'")
    result = story.run("--gpuperf-disable", "--gpuperf-save", "run.json")
    result.assert_outcomes(passed=1)
    assert not (story.path / "run.json").exists()


def test_several_in_one_test_have_names(story):
    suite(story, more=', name="deep"')
    story.run("--gpuperf-save", "run.json").assert_outcomes(passed=1)
    assert [case.id for case in read_run(story.path / "run.json").cases] == ["test_perf.py::test_images#deep"]


def test_a_pipeline_of_torch_modules_is_proven(story):
    story.suite(
        """
        import torch
        from pytest_gpuperf import PipelineStage

        def test_net(gpuperf_pipeline):
            net = torch.nn.Linear(500, 500).to(gpuperf_pipeline.device)
            gpuperf_pipeline([PipelineStage("inference", net)], [torch.ones(200, 500)], overlap=False)
        """
    )
    story.run("--gpuperf-save", "run.json").assert_outcomes(passed=1)
    (case,) = read_run(story.path / "run.json").cases
    evidence = case.measurements[0].evidence
    assert evidence.verdict == "proven"
    assert {w.name for w in evidence.witnesses} >= {"parameters", "inputs", "processor time"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (", queue=0", "*queue=0: it is a whole number, at least 1*"),
        (", timeout=0.001", "*Stage 'decode' has been at item*"),
        (', name="a")\n        gpuperf_pipeline([], [1], name="a"', "*measures twice with the name 'a'*"),
    ],
)
def test_what_cannot_run_fails_its_test_and_the_session_goes_on(story, more, message):
    suite(story, more=more, decode=0.1 if "timeout" in more else 0.004)
    story.suite("def test_next(gpuperf):\n    gpuperf(spin, 1)", name="test_next.py")
    result = story.run()
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines([message])


def test_what_only_a_gpu_can_do_is_skipped_with_its_reason(story):
    story.suite(
        """
        from pytest_gpuperf import PipelineStage

        def test_stream(gpuperf_pipeline):
            gpuperf_pipeline([PipelineStage("inference", abs, where="stream")], [1])
        """
    )
    result = story.run("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*where='stream' needs a CUDA device*"])


def test_it_is_not_measured_in_turns(repository):
    suite = textwrap.dedent(SUITE.format(decode=0.001, more="", check=""))
    repository.write("tests/test_perf.py", f"import work\n{suite}")
    repository.project.commit("a pipeline")
    result = repository.run("--gpuperf-ab", "HEAD", "-rs", "tests")
    print(result.outlines)
    result.stdout.fnmatch_lines(["*a pipeline is not measured in turns*"])
