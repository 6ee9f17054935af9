"""A language model generates in a test: tokens a second, the first token and the others are cases like any other."""

from __future__ import annotations

from importlib import metadata
from xml.etree import ElementTree as ET

import numpy.linalg
import pytest
import torch
import transformers.models.phi.modeling_phi  # noqa: F401 - pytester forgets imports, and this takes seconds

from pytest_gpuperf.records.files import read_run

assert numpy.linalg
assert torch

# A model of a fixed pace: it spins, so much for a prompt and so much for every token after it.
CONFTEST = """
import pytest
from spinning import spin
from transformers import PhiForCausalLM

PREFILL, TOKEN = {prefill}, {token}  # milliseconds

@pytest.fixture(autouse=True)
def pace(monkeypatch):
    forward = PhiForCausalLM.forward

    def paced(self, *args, input_ids=None, **more):
        spin(PREFILL if input_ids.shape[1] > 1 else TOKEN)
        return forward(self, *args, input_ids=input_ids, **more)

    monkeypatch.setattr(PhiForCausalLM, "forward", paced)
"""
SUITE = """
def test_chat(gpuperf_text):
    found = gpuperf_text("text:phi-2", prompts=2, prompt_tokens=8, max_new_tokens=4{more})
    assert 0.015 < found.ttft.mean < 0.2
    assert found.generated_tokens == 4 * found.calls
    assert found.prompt_tokens == 8 * found.calls
    assert 10 < found.tokens_per_second < found.total_tokens_per_second < 500
"""

COARSE = ("--gpuperf-margin", "15%")  # of what neighbours do; what is planted is 50%


@pytest.fixture
def chat(story, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")

    def write(prefill=40, token=20, more=""):
        story.suite(CONFTEST.format(prefill=prefill, token=token), "conftest.py")
        story.suite(SUITE.format(more=more))

    story.pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = --gpuperf-scale smoke\n")
    write()
    story.write = write
    return story


def test_a_generation_is_three_cases(chat):
    result = chat.run("--gpuperf-save", "run.json", "--junitxml", "junit.xml")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["  test_chat *", "  test_chat#decode *", "  test_chat#ttft *"])
    run = read_run(chat.path / "run.json")
    assert run.environment.software["transformers"] == metadata.version("transformers")
    whole, ttft, decode = (case.measurements[0] for case in run.cases)
    assert (whole.items, ttft.items, decode.items) == (4, 1, 3)
    assert len(whole.samples) == len(ttft.samples) == len(decode.samples) == whole.generation.calls
    for all_of_it, first, rest in zip(whole.samples, ttft.samples, decode.samples, strict=True):
        assert all_of_it == pytest.approx(first + rest)
    assert whole.evidence.verdict == ttft.evidence.verdict == "proven"
    assert (ttft.generation, ttft.peak_memory) == (None, None)
    (test,) = ET.parse(chat.path / "junit.xml").findall(".//testcase")
    assert {"gpuperf#ttft.clock", "gpuperf.clock"} <= {p.get("name") for p in test.iter("property")}


def test_slower_tokens_fail_their_case_and_not_the_first_tokens(chat):
    chat.record()
    chat.write(token=30)
    result = chat.run("--gpuperf-compare", "base.json", "--gpuperf-confirm", "in-test", *COARSE)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*time per call regressed: *test_chat#decode*"])
    result.stdout.no_fnmatch_line("*regressed: *test_chat#ttft*")


def test_a_slower_prompt_fails_its_case_and_not_the_other_tokens(chat):
    chat.record()
    chat.write(prefill=60)
    result = chat.run("--gpuperf-compare", "base.json", "--gpuperf-confirm", "in-test", *COARSE)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*time per call regressed: *test_chat#ttft*"])
    result.stdout.no_fnmatch_line("*regressed: *test_chat#decode*")


def test_a_single_token_has_no_decode(chat):
    chat.suite("""
        def test_one(gpuperf_text):
            found = gpuperf_text("text:phi-2", prompts=1, max_new_tokens=1, name="first")
            assert found.tpot is None
    """)
    chat.run("--gpuperf-save", "run.json").assert_outcomes(passed=1)
    assert {case.id.partition("::")[2] for case in read_run(chat.path / "run.json").cases} == {
        "test_one#first",
        "test_one#first-ttft",
    }


def test_two_generations_of_a_test_have_names(chat):
    chat.write(more=', name="a")\n    gpuperf_text("text:phi-2", prompts=1, max_new_tokens=2, name="a"')
    result = chat.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*measures twice with the name 'a'*"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ('"text:phi-2", prompts=3, batch=2', "3 prompts cannot fill batches of 2. Give 2 or 4 of them."),
        ('"text:phi-2", prompt_tokens=2048', "A prompt of 2048 tokens and 64 new ones are 2112, *"),
        ('"text:phi-2", max_new_tokens=0', "max_new_tokens=0: *"),
        ('"gpt"', "'gpt' is no language model. *"),
    ],
)
def test_wrong_use_is_one_message(chat, call, message):
    chat.suite(f"def test_it(gpuperf_text):\n    gpuperf_text({call})\n")
    result = chat.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*generating.py*")


def test_without_transformers_it_is_skipped_and_fails_where_it_is_required(chat, monkeypatch):
    monkeypatch.setattr("pytest_gpuperf.text.util.find_spec", lambda _: None)
    result = chat.run("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*needs torch and transformers, not installed here*"])
    chat.run("--gpuperf-require-backend").assert_outcomes(failed=1)


def test_disabled_it_generates_once(chat):
    chat.suite("""
        def test_chat(gpuperf_text):
            found = gpuperf_text("text:phi-2", prompts=2, max_new_tokens=3)
            assert found.calls == 1 and found.generated_tokens == 3
    """)
    chat.run("--gpuperf-disable").assert_outcomes(passed=1)


def planted(story, method, error):
    """A model of which one method fails."""
    story.suite(f"""
        import torch
        from transformers import PhiForCausalLM

        def test_broken(gpuperf_text, monkeypatch):
            def broken(self, *args, **more):
                raise {error}
            monkeypatch.setattr(PhiForCausalLM, "{method}", broken)
            gpuperf_text("text:phi-2", prompts=1)

        def test_next(gpuperf_text):
            gpuperf_text("text:phi-2", prompts=1, max_new_tokens=2)
    """)
    result = story.run()
    result.assert_outcomes(failed=1, passed=1)
    return result.stdout


FULL = 'torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")'


def test_memory_that_runs_out_in_the_prompt_is_a_message_and_the_next_test_runs(chat):
    shown = planted(chat, "forward", FULL)
    shown.fnmatch_lines(["*OutOfMemoryError: The workload needs more memory than the device has: CUDA out of*"])


def test_a_model_that_does_not_fit_is_a_message(chat):
    shown = planted(chat, "__init__", FULL)
    shown.fnmatch_lines(["*OutOfMemoryError: text:phi-2 does not fit on * in fp32: CUDA out of memory. *"])


def test_what_else_fails_while_a_model_is_built_is_shown_as_it_is(chat):
    planted(chat, "__init__", 'RuntimeError("no such kernel")').fnmatch_lines(["*RuntimeError: no such kernel"])


def test_a_model_of_ones_own_is_three_cases_too(chat):
    chat.suite(
        """
import pytest
from pytest_gpuperf.text import load_text

@pytest.fixture(scope="module")
def model():
    return load_text("text:phi-2", "smoke").module

def test_mine(gpuperf_text, model):
    found = gpuperf_text(model, prompts=2, prompt_tokens=4, max_new_tokens=3)
    assert found.model == "PhiForCausalLM"
"""
    )
    chat.run("--gpuperf-save", "run.json").assert_outcomes(passed=1)
    assert len(read_run(chat.path / "run.json").cases) == 3
