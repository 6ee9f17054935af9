"""Story: judging a recorded run on a machine that has neither GPU nor pytest."""

from __future__ import annotations

import json

import msgspec
import pytest
from command import gpuperf
from examples import a_baseline, a_run
from verdicts import HOSTILE, run_of

from pytest_gpuperf.records.files import write_baseline, write_run
from pytest_gpuperf.records.model import Rule, Scope

EVERYTHING = Scope(paths=(".",))


@pytest.fixture
def files(tmp_path):
    """A baseline of ten sessions, and runs of three: the same, slow, of nothing known."""
    write_baseline(tmp_path / "base.json", a_baseline(*range(10)))
    days = 20, 21, 22
    runs = {
        "same": a_run(*days, cases=("a", "b")),
        "slow": a_run(*days, cases=("a", "b"), level=0.02),
        "other": a_run(*days, cases=("z",)),
        "partial": msgspec.structs.replace(a_run(*days, cases=("a",)), scope=EVERYTHING),
    }
    for name, run in runs.items():
        write_run(tmp_path / f"{name}.json", run)
    return tmp_path


def compare(files, run, *options, **settings):
    return gpuperf("compare", "base.json", f"{run}.json", *options, cwd=files, **settings)


def test_the_same_figures_pass(files):
    done = compare(files, "same", bare=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 of 2 decided" in done.stdout


def test_a_slower_run_fails_and_says_what_regressed(files):
    done = compare(files, "slow", bare=True)
    assert done.returncode == 1
    assert done.stdout.count("REGRESSED") == 2
    assert "gpuperf: 2 of 2 compared figures regressed." in done.stdout


def test_a_run_of_other_cases_compared_nothing(files):
    done = compare(files, "other")
    assert done.returncode == 6
    assert "Nothing was compared" in done.stdout


def test_a_vanished_case_fails_unless_it_may_be_missing(files):
    done = compare(files, "partial")
    assert done.returncode == 1
    assert "vanished: tests/test_x.py::test[b]" in done.stdout
    assert "--prune" in done.stdout
    assert compare(files, "partial", "--allow-missing").returncode == 0


def test_too_little_decided(files):
    write_baseline(files / "young.json", a_baseline(0))  # one session: what the next may be is not known
    write_run(files / "noisy.json", a_run(20, cases=("a", "b"), level=0.0102))
    done = gpuperf("compare", "young.json", "noisy.json", "--min-decided", "100%", cwd=files)
    assert done.returncode == 7
    assert gpuperf("compare", "young.json", "noisy.json", "--min-decided", "0%", cwd=files).returncode == 0
    assert gpuperf("compare", "young.json", "noisy.json", "--strict", cwd=files).returncode == 1


def test_two_runs_are_compared_as_far_as_one_session_tells(files):
    done = gpuperf("compare", "same.json", "slow.json", cwd=files)
    assert done.returncode == 1
    assert "2 regressed; 2 of 2 decided" in done.stdout
    noisy = a_run(20, cases=("a",), level=0.0104)
    write_run(files / "noisy.json", msgspec.structs.replace(noisy, scope=EVERYTHING))
    done = gpuperf("compare", "same.json", "noisy.json", cwd=files, COLUMNS="500")
    assert done.returncode == 1, "a case vanished"
    assert "4.0% slower in 1 session, beside 3 of the baseline" in done.stdout
    assert "(`gpuperf calibrate --sessions 2 --into baselines/tesla-t4.json`)" in done.stdout
    assert "drop them: `gpuperf accept noisy.json --into baselines/tesla-t4.json --prune`" in done.stdout


def test_a_margin_on_the_command_line_decides_within_what_a_case_is_unchanged(files):
    assert "unchanged within 3%" in compare(files, "same").stdout
    assert "unchanged within 7%" in compare(files, "same", "--margin", "7%").stdout
    assert "unchanged within 3%" in compare(files, "same", "--margin", "auto:15%").stdout  # a cap is no aim
    done = compare(files, "same", "--margin", "wide")
    assert (done.returncode, done.stderr.partition(":")[0]) == (4, "gpuperf")
    assert "--margin: 'wide' is not a percentage" in done.stderr


def test_a_tolerance_on_the_command_line_goes_above_the_test_s(files):
    many = ("a", "b", "c", "d", "e")
    write_baseline(files / "base.json", a_baseline(*range(10), cases=many))
    fast, slow = a_run(20, 21, 22, cases=many), a_run(20, 21, 22, level=0.015)
    ruled = msgspec.structs.replace(slow.cases[0], rule=Rule(tolerance={"throughput": 0.6}))
    write_run(files / "one.json", msgspec.structs.replace(fast, cases=slow.cases + fast.cases[1:]))
    write_run(files / "ruled.json", msgspec.structs.replace(fast, cases=(ruled, *fast.cases[1:])))
    assert compare(files, "one").returncode == 1
    assert compare(files, "one", "--tolerance", "throughput=60%", "--tolerance", "energy=1%").returncode == 0
    assert compare(files, "ruled").returncode == 0
    assert compare(files, "ruled", "--tolerance", "throughput=3%").returncode == 1


def test_a_pinned_reference_sees_what_was_accepted_step_by_step(files):
    write_baseline(files / "v1.json", a_baseline(*range(10), level=0.005))
    done = compare(files, "same", "--reference", "v1.json")
    assert done.returncode == 1
    assert "Since the reference v1.json" in done.stdout
    assert "gpuperf: Against the reference v1.json: 2 of 2 compared figures regressed." in done.stdout


def test_markdown_and_json(files):
    text = compare(files, "slow", "--format", "markdown", bare=True).stdout
    assert text.startswith("<!-- gpuperf: tesla-t4 -->\n\n### gpuperf: failed")
    report = json.loads(compare(files, "slow", "--format", "json", bare=True).stdout)
    assert report["exit_code"] == 1
    assert [f["verdict"]["word"] for f in report["comparison"]["findings"]] == ["regressed", "regressed"]


def test_reports_as_files_and_for_a_job_of_github(files):
    summary = files / "summary.md"
    github = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(files), "GITHUB_STEP_SUMMARY": str(summary)}
    done = compare(files, "slow", "--markdown", "out/report.md", "--csv", "figures.csv", bare=True, **github)
    assert done.returncode == 1
    assert done.stdout.count("\n::error file=tests/test_x.py,line=1,") == 2
    assert summary.read_text().strip() == (files / "out/report.md").read_text().strip()
    assert len((files / "figures.csv").read_text().splitlines()) == 3
    assert "::" not in compare(files, "slow", "--format", "json", **github).stdout.replace("test_x.py::test", "")


@pytest.mark.parametrize("form", ["table", "markdown", "json"])
def test_no_name_reaches_the_terminal_as_a_command(files, form):
    write_run(files / "hostile.json", run_of(*HOSTILE))
    for encoding in ("utf-8", "ascii"):
        done = compare(files, "hostile", "--format", form, PYTHONIOENCODING=encoding)
        assert done.returncode == 6
        assert all(line.isprintable() for line in done.stdout.split("\n"))
        assert "日本語" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gone.json", "same.json"), "gone.json: there is no such file"),
        (("base.json", "gone.json"), "gone.json: there is no such file"),
        (("base.json", "base.json"), "a run is needed here"),
        (("base.json", "same.json", "--tolerance", "throughput=3"), "Write 3%, with the percent sign"),
        (("base.json", "same.json", "--tolerance", "throughput=banana"), "is not a percentage"),
        (("base.json", "same.json", "--tolerance", "throughput"), "'throughput' is not a percentage"),
        (("base.json", "same.json", "--tolerance", "speed=3%"), "The metrics are: throughput"),
        (("base.json", "same.json", "--tolerance", "throughput=3%", "--tolerance", "latency=3%"), "judged as one"),
        (("base.json", "same.json", "--min-decided", "most"), "--min-decided: 'most' is not a percentage"),
        (("base.json", "same.json", "--format", "png"), "invalid choice: 'png'"),
        (("base.json",), "the following arguments are required: RUN"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_line(files, arguments, said):
    done = gpuperf("compare", *arguments, cwd=files)
    assert (done.returncode, done.stdout) == (4, "")
    assert said in done.stderr
    assert "gpuperf: error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_another_device_is_refused(files):
    other = msgspec.structs.replace(
        a_run(20),
        environment=msgspec.structs.replace(
            a_run(20).environment, device=msgspec.structs.replace(a_run(20).environment.device, name="NVIDIA L4")
        ),
    )
    write_run(files / "l4.json", other)
    done = compare(files, "l4")
    assert done.returncode == 4
    assert "another device" in done.stderr
