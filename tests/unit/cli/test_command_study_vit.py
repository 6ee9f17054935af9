"""`gpuperf study vit`: measured by real sessions, made again from what they left, and refused where that changed."""

from __future__ import annotations

import json
import re
import shutil
from importlib import util

import pytest
import torch
from examples import ENVIRONMENT
from vit_runs import a_study_folder, a_vit_run, case_of

from pytest_gpuperf.cli import main, study_vit
from pytest_gpuperf.device import identity
from pytest_gpuperf.errors import SessionError
from pytest_gpuperf.records.files import read_run
from pytest_gpuperf.records.model import Environment
from pytest_gpuperf.records.vit_study import Attempt
from pytest_gpuperf.records.vit_study_files import keep_attempt, raw_path
from pytest_gpuperf.studies import run_vit_study

assert torch  # its import takes seconds, which no test should be blamed for

CENTRE, NARROW = case_of("p8-d2-h128-r64"), case_of("p8-d2-h64-r64")


@pytest.fixture
def study(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")

    def run(*arguments, into=tmp_path / "study"):
        code = main(["study", "vit", "--into", str(into), *map(str, arguments)])
        return code, capsys.readouterr()

    run.into = tmp_path / "study"
    return run


@pytest.fixture
def scripted(monkeypatch):
    """Sessions that are over at once, on this machine."""
    here = Environment(device=identity.cpu_device(), software=identity.software())
    asked = []

    def measure(case, number, _):
        asked.append((case, number))
        return a_vit_run(case, number, environment=here)

    monkeypatch.setattr(run_vit_study, "fresh_process", lambda *_: measure)
    return asked


def test_real_sessions_are_measured_and_can_be_accepted_as_they_stand(study, tmp_path, capsys):
    """As a user has it: nothing is known of how long sessions take here, and there is time for one of the centre."""
    code, shown = study("--rq", "1", "--budget", "20s", "--device", "cpu")
    assert code == 0, shown.err
    assert "0 sessions are there, 36 are wanted" in shown.err
    assert "p8-d2-h128-r64-bf16-eager-8, session 1: " in shown.err
    assert "sessions are left: the same command goes on" in shown.err
    raw = raw_path(study.into, CENTRE, 1)
    run = read_run(raw)
    assert [case.id for case in run.cases] == [CENTRE.test]
    measured = run.cases[0].measurements[0]
    assert measured.flops == CENTRE.flops, "torch counts what the closed form says"
    assert 0 < measured.ceiling_share < 1
    assert run.sessions[0].revision is None
    assert any(note.startswith("energy not available") for note in measured.notes)
    assert {file.name for file in study.into.iterdir()} >= {"raw", "study.md", "study.html", "sessions.csv"}
    baseline = tmp_path / "baselines" / "vit.json"
    assert main(["accept", str(raw), "--few", "--into", str(baseline)]) == 0
    assert CENTRE.test in baseline.read_text()
    capsys.readouterr()


def test_it_is_made_again_from_the_raw_files_alone(study):
    a_study_folder(study.into, [CENTRE, NARROW], environment=ENVIRONMENT)
    code, shown = study("--budget", "0")
    assert (code, shown.err) == (0, "")
    assert "Vision transformers on Tesla T4" in shown.out
    assert "hidden 128 beside hidden 64" in shown.out
    assert shown.out.rstrip().endswith("study.md, study.html, sessions.csv, study.json, charts")
    first = {file: file.read_bytes() for file in study.into.rglob("*") if file.is_file()}
    assert study("--budget", "0s")[0] == 0
    assert {file: file.read_bytes() for file in study.into.rglob("*") if file.is_file()} == first


def test_a_summary_of_other_files_is_made_again_and_refused_by_who_reads_it(study, capsys):
    a_study_folder(study.into, [CENTRE, NARROW])
    study("--budget", "0")
    summary = study.into / "study.json"
    assert main(["show", str(summary)]) == 0
    assert "Made from" in capsys.readouterr().out
    raw_path(study.into, NARROW, 3).unlink()
    assert main(["show", str(summary)]) == 4
    refused = capsys.readouterr().err
    assert "raw/p8-d2-h64-r64-bf16-eager-8.3.json is missing. Make it again from them: gpuperf study vit" in refused
    code, shown = study("--budget", "0")
    assert code == 0
    assert "was of other files, and is made again: raw/p8-d2-h64-r64-bf16-eager-8.3.json is missing" in shown.err
    assert main(["show", str(summary)]) == 0


def test_it_goes_on_until_every_session_is_there(study, scripted):
    code, shown = study("--rq", "1", "--budget", "2h", "--device", "cpu")
    assert code == 0, shown.err
    assert re.search(r"; 1 session to go, about \d+s left\n.* a call\n$", shown.err)
    assert "sessions are left" not in shown.err
    assert "Architecture: how hidden width, depth and patch change efficiency" in shown.out
    count = len(scripted)
    assert len(set(scripted)) == count == 12 * 3
    code, shown = study("--rq", "1", "--budget", "2h", "--device", "cpu")
    assert (code, len(scripted)) == (0, count)
    assert "36 sessions are there, 0 are wanted" in shown.err
    assert json.loads((study.into / "study.json").read_text())["scale"] == "smoke"


@pytest.fixture
def interrupted_after(scripted, monkeypatch):
    """Ctrl-C, when so many sessions are measured."""
    calling = study_vit._progress

    def after(count):
        def interrupting(measured):
            calling(measured)
            if len(scripted) == count:
                raise KeyboardInterrupt

        monkeypatch.setattr(study_vit, "_progress", interrupting)

    return after


def test_all_questions_are_asked_where_none_is_named(study, scripted, interrupted_after):
    interrupted_after(18)
    assert study("--budget", "2h", "--device", "cpu")[0] == 2
    assert {case.way for case, _ in scripted} >= {"eager", "compile-max-autotune", "remote", "async-q2-cpu"}
    assert {case.vit.resolution for case, _ in scripted} == {32, 64, 128}


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(study, scripted, interrupted_after):
    interrupted_after(4)
    code, shown = study("--rq", "1", "--budget", "2h", "--device", "cpu")
    assert code == 2
    assert f"interrupted; 4 sessions are kept in {study.into / 'raw'}; the same command goes on" in shown.err
    assert not (study.into / "study.json").exists()
    assert study("--rq", "1", "--budget", "2h", "--device", "cpu")[0] == 0
    assert len(set(scripted)) == len(scripted) == 36


def test_nothing_measured_is_no_summary(study):
    code, shown = study("--budget", "0")
    assert code == 3
    assert "nothing is measured, so there is no summary. Give it more time: --budget 30m" in shown.err
    keep_attempt(study.into, Attempt(test=CENTRE.test, session=1, failed="Boom: no"))
    code, shown = study("--budget", "0")
    assert code == 3
    assert "What failed says: Boom: no" in shown.err


def test_a_session_that_fails_is_said_when_it_does(study, monkeypatch):
    def failing(*_):
        raise SessionError("A fresh pytest process ended with exit code -9.")

    monkeypatch.setattr(run_vit_study, "fresh_process", lambda *_: failing)
    a_study_folder(
        study.into, [CENTRE], environment=Environment(device=identity.cpu_device(), software=identity.software())
    )
    code, shown = study("--rq", "1", "--budget", "1h", "--device", "cpu", "--scale", "smoke")
    assert code == 0
    assert "p8-d2-h64-r64-bf16-eager-8, session 1: failed: A fresh pytest process ended with exit code -9." in shown.err
    shutil.rmtree(study.into)


@pytest.mark.parametrize("missing", ["torch", "timm"])
def test_without_what_builds_the_models_it_says_what_to_install(study, monkeypatch, missing):
    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == missing else find(name))
    code, shown = study("--budget", "1m")
    assert code == 4
    assert f"need {missing}, which is not installed. Install it with: pip install 'pytest-gpuperf[suite]'" in shown.err


def test_another_device_s_folder_is_refused(study):
    a_study_folder(study.into, [CENTRE])
    code, shown = study("--budget", "1m", "--device", "cpu")
    assert code == 4
    assert "of another device or other software" in shown.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rq", "9"), "9 is none of: 1, 2, 3, 4, 5"),
        (("--budget", "soon"), "--budget: 'soon' is not a time"),
    ],
)
def test_what_makes_no_sense_is_refused(study, capsys, arguments, message):
    try:
        code, shown = study(*arguments)
    except SystemExit as error:
        code, shown = error.code, capsys.readouterr()
    assert code == 4
    assert message in shown.err


def test_without_charts_the_rest_is_there(study, monkeypatch):
    monkeypatch.setattr("pytest_gpuperf.reports.charts.vit_charts.draw_vit_charts", lambda *_: [])
    a_study_folder(study.into, [CENTRE])
    code, shown = study("--budget", "0")
    assert code == 0
    assert shown.out.rstrip().endswith("sessions.csv, study.json")
