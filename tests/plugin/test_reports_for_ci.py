"""--gpuperf-markdown, --gpuperf-csv, GitHub's job and JUnit: what a reviewer gets to see without the log."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET

import pytest

SUITE = """
    @pytest.mark.parametrize("batch", [1, 8])
    def test_spin(gpuperf, batch):
        gpuperf(spin, 2, items=batch)
"""
JUDGED = ("--gpuperf-compare", "base.json", "--gpuperf-confirm", "off")


@pytest.fixture
def judged(story):
    """A suite of which one case became slower than its baseline says."""
    story.suite(SUITE)
    story.record()
    story.baseline(faster=5, only="test_perf.py::test_spin[8]")
    return story


def test_one_session_feeds_every_report(judged):
    result = judged.run(
        *JUDGED, "--gpuperf-markdown", "out/report.md", "--gpuperf-csv", "out/figures.csv", "--junitxml", "junit.xml"
    )
    assert result.ret == 1
    text = (judged.path / "out/report.md").read_text()
    assert "### gpuperf: failed" in text
    assert "regressed**\n\n| case" in text
    assert "::error" not in result.stdout.str()
    with (judged.path / "out/figures.csv").open() as file:
        rows = {row["batch"]: row for row in csv.DictReader(file)}
    assert rows["8"]["verdict"] == "regressed"
    slow = properties(judged, "test_spin[8]")
    assert slow["gpuperf.verdict"] == "regressed"
    assert float(slow["gpuperf.ratio"]) == pytest.approx(5, rel=0.5)
    assert float(slow["gpuperf.throughput"]) == pytest.approx(float(rows["8"]["items_per_s"]), rel=0.01)
    assert slow["gpuperf.device"] == rows["8"]["device"]
    assert {"gpuperf.median", "gpuperf.evidence", "gpuperf.interval"} <= set(slow)
    assert properties(judged, "test_spin[1]")["gpuperf.verdict"] == rows["1"]["verdict"]  # a busy machine may say any


def properties(story, name):
    """What JUnit says beside a test; each thing once."""
    (case,) = ET.parse(story.path / "junit.xml").findall(f".//testcase[@name='{name}']")
    found = [(p.get("name"), p.get("value")) for p in case.iter("property")]
    assert len(dict(found)) == len(found)
    return dict(found)


def test_on_github_the_test_s_own_line_is_marked_and_the_job_has_a_summary(judged, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(judged.path.parent))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(judged.path / "summary.md"))
    (judged.path / "summary.md").write_text("of an earlier step\n")
    result = judged.run(*JUDGED)
    commands = [line for line in result.outlines if line.startswith("::")]
    assert commands[0].startswith("::error title=gpuperf on ")
    start = f"::error file={judged.path.name}/test_perf.py,line=5,title=time per call regressed%2C "
    assert [line for line in commands if line.startswith(start) and "test_spin[8]" in line]
    summary = (judged.path / "summary.md").read_text()
    assert summary.startswith("of an earlier step\n<!-- gpuperf: ")
    assert summary.count("### gpuperf: failed") == 1


def test_the_processes_that_measure_again_report_nothing(judged, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(judged.path / "summary.md"))
    result = judged.run("--gpuperf-compare", "base.json", "--gpuperf-markdown", "report.md", "--junitxml", "junit.xml")
    assert result.ret == 1
    assert (judged.path / "summary.md").read_text().count("### gpuperf") == 1
    assert "5 sessions" in "\n".join(line for line in result.outlines if line.startswith("::error file"))
    assert properties(judged, "test_spin[8]")["gpuperf.sessions"] == "5"


def test_a_run_that_is_not_judged_is_reported_too(story):
    story.suite(SUITE)
    assert (
        story.run("--gpuperf-markdown", "report.md", "--gpuperf-csv", "figures.csv", "--junitxml", "junit.xml").ret == 0
    )
    assert "### gpuperf: recorded" in (story.path / "report.md").read_text()
    assert len((story.path / "figures.csv").read_text().splitlines()) == 3
    found = properties(story, "test_spin[1]")
    assert "gpuperf.throughput" in found
    assert "gpuperf.verdict" not in found


def test_nothing_measured_is_nothing_to_report(story, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(story.path / "summary.md"))
    story.suite("def test_plain(gpuperf): pass")
    warned = ("-W", "default::pytest.PytestWarning")
    assert story.run("--gpuperf-markdown", "report.md", *warned).ret == 0
    assert story.run("--gpuperf-markdown", "report.md", "--gpuperf-disable", *warned).ret == 0
    assert not (story.path / "report.md").exists()
    assert not (story.path / "summary.md").exists()


@pytest.mark.parametrize("option", ["--gpuperf-markdown", "--gpuperf-csv"])
def test_a_report_that_cannot_be_written_is_refused_before_measuring(story, option):
    story.suite(SUITE)
    (story.path / "folder").mkdir()
    result = story.run(option, "folder")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *folder: cannot be written*"])


def test_a_report_never_replaces_a_baseline(judged):
    before = (judged.path / "base.json").read_bytes()
    result = judged.run("--gpuperf-csv", "base.json")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *base.json: cannot be written: a baseline stands there*"])
    assert (judged.path / "base.json").read_bytes() == before


def test_hostile_parameters_reach_no_report_as_anything_else(story):
    story.suite("""
        @pytest.mark.parametrize("x", ["::error::a", "##[add-mask]b", "=1+1", "@x|`<b>`"], ids=str)
        def test_spin(gpuperf, x):
            gpuperf(spin, 0.2)
    """)
    result = story.run("--gpuperf-markdown", "report.md", "--gpuperf-csv", "figures.csv")
    ours = result.stdout.str().split("= gpuperf =")[1]
    assert "##[" not in ours
    text = (story.path / "report.md").read_text()
    assert "<b>" not in text
    assert "@x" not in text
    with (story.path / "figures.csv").open() as file:
        shown = {row["x"] for row in csv.DictReader(file)}
    assert shown == {"::error::a", "##[add-mask]b", "'=1+1", "'@x|`<b>`"}
