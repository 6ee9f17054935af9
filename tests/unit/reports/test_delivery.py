"""Reports as files, and what GitHub's job is given."""

from __future__ import annotations

import os

import pytest
from examples import a_baseline
from verdicts import comparison, finding, run_of

from pytest_gpuperf.comparison.judged import JudgedRun
from pytest_gpuperf.errors import FileError
from pytest_gpuperf.records.files import write_baseline, write_run
from pytest_gpuperf.reports.annotations import deliver, github_annotations, write_report

A = "tests/test_x.py::test_a"
JUDGED = JudgedRun(run_of(A), comparison(finding(A, "regressed")))
NOWHERE: dict[str, str] = {}


def test_nothing_is_written_that_nobody_asked_for(tmp_path):
    deliver(JUDGED.run, JUDGED, environment=NOWHERE)
    assert github_annotations(JUDGED, tmp_path, NOWHERE) == []
    assert github_annotations(JUDGED, tmp_path, {"GITHUB_ACTIONS": "false"}) == []


def test_files_and_the_job_s_summary(tmp_path):
    summary = tmp_path / "summary.md"
    for judged in (JUDGED, None):
        deliver(
            JUDGED.run,
            judged,
            markdown=tmp_path / "new/report.md",
            csv=tmp_path / "figures.csv",
            environment={"GITHUB_STEP_SUMMARY": str(summary)},
        )
    assert "### gpuperf: recorded" in (tmp_path / "new/report.md").read_text()
    assert (tmp_path / "figures.csv").read_text().startswith("case,test,device,")
    text = summary.read_text()
    assert text.index("### gpuperf: failed") < text.index("### gpuperf: recorded")


def test_a_summary_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(FileError, match="GITHUB_STEP_SUMMARY"):
        deliver(JUDGED.run, JUDGED, environment={"GITHUB_STEP_SUMMARY": str(tmp_path)})


@pytest.mark.parametrize(
    ("root", "workspace", "file"),
    [
        (".", ".", "tests/test_x.py"),
        ("perf/suite", ".", "perf/suite/tests/test_x.py"),
        (".", "perf", "tests/test_x.py"),  # outside of what GitHub knows
        (".", "", "tests/test_x.py"),
    ],
)
def test_files_are_named_as_the_repository_names_them(tmp_path, root, workspace, file):
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": workspace and str(tmp_path / workspace)}
    _, line = github_annotations(JUDGED, tmp_path / root, environment)
    assert line.startswith(f"::error file={file},line=1,")


def test_a_report_never_replaces_what_was_measured(tmp_path):
    write_run(tmp_path / "run.json", JUDGED.run)
    write_baseline(tmp_path / "base.json", a_baseline(0))
    for name, what in (("run.json", "a run"), ("base.json", "a baseline")):
        with pytest.raises(FileError, match=f"{what} stands there"):
            write_report(tmp_path / name, "text")
    write_report(tmp_path / "other.json", "text")
    write_report(tmp_path / "other.json", "newer")
    assert (tmp_path / "other.json").read_text() == "newer"


@pytest.mark.parametrize(
    ("name", "why"), [("", "this is a folder"), ("file/below", "cannot be written"), ("\0", "null")]
)
def test_what_cannot_be_written_is_said(tmp_path, name, why):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match=why):
        write_report(tmp_path / name, "text")
