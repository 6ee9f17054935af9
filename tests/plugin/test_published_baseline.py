"""Story: the figures that a study published, beside figures measured on the same kind of card."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from command import gpuperf
from examples import a_measurement, a_session

from pytest_gpuperf.records.files import read_baseline, write_run
from pytest_gpuperf.records.model import Case, Environment, Run

ROOT = Path(__file__).parents[2]
T4 = ROOT / "baselines" / "t4.json"
SCRIPT = ROOT / "benchmarks" / "published_t4.py"


def a_t4_run(slower: float = 1.0, sessions: int = 1) -> Run:
    """What a T4 would record: with a driver, a power limit and the memory that torch sees."""
    baseline = read_baseline(T4)
    device = msgspec.structs.replace(baseline.environment.device, memory=15_655_829_504, power_limit=70.0)
    cases = []
    for case in baseline.cases:
        (series,) = case.series
        measurements = tuple(
            a_measurement(i, series.medians[0] * slower, items=case.items, peak_memory=series.peak_memory)
            for i in range(sessions)
        )
        cases.append(Case(id=case.id, test=case.test, parameters=case.parameters, measurements=measurements))
    return Run(
        environment=Environment(device=device, software={"torch": "2.15.0", "driver": "595.71"}),
        sessions=tuple(a_session(i) for i in range(sessions)),
        cases=tuple(cases),
    )


def test_the_file_is_what_the_script_writes(tmp_path):
    subprocess.run([sys.executable, SCRIPT, tmp_path / "t4.json"], check=True, capture_output=True)
    assert (tmp_path / "t4.json").read_bytes() == T4.read_bytes()


def test_every_row_agrees_with_itself():
    """Batch over latency is the published throughput, as far as it was rounded."""
    script = runpy.run_path(str(SCRIPT))
    assert len(script["ROWS"]) == 5
    for row in script["ROWS"]:
        assert script["BATCH"] / row.latency * 1000 == pytest.approx(row.throughput, rel=5e-4)


def test_it_says_that_it_was_published_and_no_more_than_the_study_did():
    baseline = read_baseline(T4)
    assert baseline.provenance == "published"
    assert "CUDA 12.1, torch 2.5.1" in baseline.source
    assert baseline.environment.software == {"cuda": "12.1", "torch": "2.5.1"}
    assert baseline.environment.device.power_limit is None
    (session,) = baseline.sessions
    assert (session.card, session.revision, session.canaries) == (None, None, {})
    assert {s.energy for c in baseline.cases for s in c.series} == {None}


def test_the_suite_measures_every_case_of_it():
    arguments = ("-q", "--collect-only", "-p", "no:cacheprovider", "tests/perf", "--gpuperf-scale", "full")
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert {c.id for c in read_baseline(T4).cases} <= set(collected)


@pytest.mark.parametrize(
    ("slower", "word", "code"), [(1.1, "reference", 0), (0.9, "reference", 0), (1.4, "regressed", 1)]
)
def test_a_t4_is_held_against_it_roughly(tmp_path, slower, word, code):
    write_run(tmp_path / "run.json", a_t4_run(slower))
    done = gpuperf("compare", T4, "run.json", cwd=tmp_path, bare=True)
    assert done.returncode == code, done.stdout + done.stderr
    assert f"\n5 {word}; 5 of 5 decided" in done.stdout


def test_one_line_says_what_a_publication_decides_and_what_takes_its_place(tmp_path):
    write_run(tmp_path / "run.json", a_t4_run(1.1))
    done = gpuperf("compare", T4, "run.json", cwd=tmp_path, bare=True, COLUMNS="250")
    assert (
        "\n5 cases at most 25% slower than a publication says; smaller changes it cannot show. Measured figures take "
        f"its place: `gpuperf calibrate --into {T4}`\n"
    ) in done.stdout
    assert "reference:" not in done.stdout  # what it says of each case is in the table
    assert re.search(r"resnet50-fp32-eager-32\] .* \+10\.\d% +reference\n", done.stdout), done.stdout
    assert "intervals" not in done.stdout  # there are none


SUITE = """
    @pytest.mark.gpuperf(tolerance={"peak_memory": "1%"})
    def test_spin(gpuperf):
        gpuperf(spin, 1)
"""


@pytest.mark.parametrize(("slower", "word", "code"), [(1.1, "reference", 0), (1.4, "REGRESSED", 1)])
def test_pytest_passes_beside_a_publication_unless_a_test_is_much_slower(story, slower, word, code):
    story.suite(SUITE)
    story.record()
    story.baseline(faster=slower, sessions=1)
    known = story.read()
    (case,) = known.cases
    (series,) = case.series
    series = msgspec.structs.replace(series, peak_memory=series.peak_memory // 2)  # shown, and not judged
    cases = (msgspec.structs.replace(case, series=(series,)),)
    story.change_baseline(provenance="published", source="a study", cases=cases)
    result = story.run("--gpuperf-compare", "base.json")
    assert result.ret == code
    result.assert_outcomes(passed=1 - code, failed=code)
    result.stdout.fnmatch_lines([f"*test_spin *{word}", "*peak memory *reference"])
    assert "1 of 1 decided" in result.stdout.str()


def test_measured_sessions_take_its_place(tmp_path):
    (tmp_path / "t4.json").write_bytes(T4.read_bytes())
    write_run(tmp_path / "run.json", a_t4_run(1.05, sessions=5))
    done = gpuperf("accept", "run.json", "--into", "t4.json", cwd=tmp_path, bare=True)
    assert done.returncode == 0, done.stderr
    measured = read_baseline(tmp_path / "t4.json")
    assert (measured.provenance, measured.source, len(measured.sessions)) == ("measured", None, 5)
    assert {len(c.series) for c in measured.cases} == {5}


def test_another_card_is_refused(tmp_path):
    run = a_t4_run()
    device = msgspec.structs.replace(run.environment.device, name="NVIDIA L4", capability="8.9")
    write_run(tmp_path / "run.json", msgspec.structs.replace(run, environment=Environment(device=device)))
    done = gpuperf("compare", T4, "run.json", cwd=tmp_path, bare=True)
    assert done.returncode == 4
    assert "name Tesla T4, here NVIDIA L4" in done.stderr
