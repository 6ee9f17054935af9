"""Why a case changed: one untimed call is looked at, where the case is recorded or changed, and nowhere else."""

from __future__ import annotations

import msgspec
import torch
from revisions_of import Project
from torch.profiler import profile

from pytest_gpuperf.cli import main
from pytest_gpuperf.records.files import read_baseline, read_run
from pytest_gpuperf.traces.profile import profile_of

# Loaded here: pytester forgets what a session imported, and torch cannot load what it needs for that twice.
with profile():
    profile_of(lambda: torch.ones(1), lambda: None, cuda=False, session="-", seconds=1.0, parameters={})

# Operators of torch that take as long as they are told, on any machine; who is profiled says so in a file.
STEPS = """
from pathlib import Path
from time import perf_counter
import torch

X = torch.ones(4)

def take(x, milliseconds):
    end = perf_counter() + milliseconds / 1000
    while perf_counter() < end:
        pass
    return x + 0

if not hasattr(torch, "_story"):
    torch._story = torch.library.Library("story", "DEF")
    for name in ("product", "copy"):
        torch._story.define(f"{name}(Tensor x, float milliseconds) -> Tensor")
        torch._story.impl(name, take, "CPU")

def work(case, product=1.0, copy=0.0):
    if torch.autograd._profiler_enabled():
        with Path("profiled").open("a") as file:
            file.write(case + " ")
    torch.ops.story.product(X, product)
    if copy:
        torch.ops.story.copy(X, copy)
"""
# Changes are twofold here; what a busy machine adds to a millisecond is within the tolerance.
TWO = """
    import pytest
    from steps import work

    pytestmark = pytest.mark.gpuperf(tolerance={"throughput": "25%"})

    def test_one(gpuperf):
        gpuperf(work, "one")

    def test_two(gpuperf):
        gpuperf(work, "two")
"""
COPY = TWO.replace('gpuperf(work, "two")', 'gpuperf(work, "two", 1.0, 1.0)')
PRODUCT = [("story::product", 1)]


def profiled(story) -> list[str]:
    """The cases of which a call was profiled since this was last asked; one that was interrupted is run again."""
    file = story.path / "profiled"
    seen = file.read_text().split() if file.exists() else []
    file.unlink(missing_ok=True)
    return list(dict.fromkeys(seen))


def begin(story, suite: str = TWO) -> None:
    (story.path / "steps.py").write_text(STEPS)
    story.suite(suite)
    story.record()


def test_recording_looks_at_one_call_of_each_case(story):
    begin(story)
    assert profiled(story) == ["one", "two"]
    run = read_run(story.path / "run.json")
    for case in run.cases:
        assert case.profile is not None
        assert [(k.name, k.count) for k in case.profile.kernels] == PRODUCT
        assert case.profile.session == case.measurements[0].session


def test_a_plain_run_looks_at_none(story):
    begin(story)
    profiled(story)
    assert story.run().ret == 0
    assert profiled(story) == []


def test_a_comparison_looks_at_none_that_is_unchanged_and_at_a_suspect_in_the_last_fresh_process(story):
    begin(story)
    profiled(story)
    story.suite(COPY)
    result = story.run("--gpuperf-compare", "base.json")
    result.assert_outcomes(passed=1, failed=1)
    assert profiled(story) == ["two"]
    result.stdout.fnmatch_lines(
        [
            "*  why       1 copy more: story::copy*",
            "why: 1 copy more: story::copy*",
        ]
    )


def test_an_unchanged_suite_is_not_looked_at(story):
    begin(story)
    profiled(story)
    result = story.run("--gpuperf-compare", "base.json", "--gpuperf-confirm", "off")
    result.assert_outcomes(passed=2)
    assert profiled(story) == []
    assert "why:" not in result.stdout.str()


def test_without_fresh_processes_a_changed_case_is_looked_at_in_its_test(story):
    begin(story)
    profiled(story)
    story.suite(COPY)
    result = story.run("--gpuperf-compare", "base.json", "--gpuperf-confirm", "off")
    assert profiled(story) == ["two"]
    result.stdout.fnmatch_lines(["why: 1 copy more: story::copy*"])
    story.run("--gpuperf-compare", "base.json", "--gpuperf-confirm", "in-test")
    assert profiled(story) == ["two"]


def test_a_case_that_took_turns_is_looked_at_in_a_fresh_process_that_measures_nothing(story):
    project = Project(story.path)
    begin(story, COPY)
    commit = project.commit("with a copy")
    sessions = [msgspec.structs.replace(s, revision=commit) for s in story.read().sessions]
    story.change_baseline(sessions=tuple(sessions))
    profiled(story)
    story.suite(TWO)
    result = story.run("--gpuperf-compare", "base.json", "--gpuperf-confirm-budget", "0.1")
    result.stdout.fnmatch_lines(
        [
            "gpuperf: 1 test is run in a fresh process, to see why ...",
            "why: 1 copy fewer: story::copy*",
            "*1 improved*",
        ]
    )
    assert profiled(story) == ["two"]
    (story.path / "conftest.py").write_text(
        "import os\nif '\"look\":true' in os.environ.get('GPUPERF_SESSION', ''):\n    raise RuntimeError('not here')\n"
    )
    result = story.run("--gpuperf-compare", "base.json", "--gpuperf-confirm-budget", "0.1")
    result.stdout.fnmatch_lines(
        ["gpuperf: the cause could not be looked up: A fresh pytest process ended with exit code*", "*1 improved*"]
    )


def test_two_recorded_runs_show_the_same(story, monkeypatch, capsys):
    begin(story)
    story.suite(COPY)
    assert story.run("--gpuperf-save", "slow.json").ret == 0
    monkeypatch.chdir(story.path)
    monkeypatch.setenv("COLUMNS", "300")
    main(["compare", "base.json", "slow.json", "--min-decided", "0%"])
    assert "why: 1 copy more: story::copy" in capsys.readouterr().out
    assert main(["why", "slow.json", "test_two", "--baseline", "base.json"]) == 0
    assert "appeared" in capsys.readouterr().out


def test_a_baseline_keeps_one_profile_of_each_case(story, monkeypatch):
    (story.path / "steps.py").write_text(STEPS)
    story.suite(TWO)
    monkeypatch.chdir(story.path)
    arguments = ["--gpuperf-device", "cpu", "--gpuperf-budget", "0.2", "-q", "test_perf.py"]
    assert main(["calibrate", "--sessions", "2", "--few", "--into", "new.json", "--", *arguments]) == 0
    assert profiled(story) == ["one", "two"]  # the last session's
    baseline = read_baseline(story.path / "new.json")
    assert [[(k.name, k.count) for k in c.profile.kernels] for c in baseline.cases if c.profile] == [PRODUCT, PRODUCT]
