"""Story: looking into a file."""

from __future__ import annotations

import re

import msgspec
from command import gpuperf
from examples import a_baseline, a_run
from verdicts import HOSTILE, WAIVER, run_of

from pytest_gpuperf.records.files import write_baseline, write_run
from pytest_gpuperf.records.model import Ceiling, Scope
from pytest_gpuperf.reports.show import baseline_contents, run_contents


def test_a_run(tmp_path):
    run = msgspec.structs.replace(a_run(0, 1), scope=Scope(unmeasured={"tests/test_x.py::test_y": "skipped: no GPU"}))
    write_run(tmp_path / "run.json", run)
    done = gpuperf("show", "run.json", cwd=tmp_path, bare=True)
    assert done.returncode == 0
    said = [" ".join(line.split()) for line in done.stdout.split("\n")]
    assert said == [
        "run.json: a run, 1 case, 2 sessions",
        "device: Tesla T4, 15.0 GiB; timed by: cuda-event",
        "software: driver 595.71, torch 2.15.0",
        "measured: 2026-01-01T02:00:00Z to 2026-01-02T02:00:00Z",
        "revisions: abc123",
        "not measured: tests/test_x.py::test_y (skipped: no GPU)",
        "",
        "case throughput latency p50 time a call peak memory",
        "tests/test_x.py",
        "test[a] 798 /s - 10.0 ms 1.00 GiB",
        "",
    ]


def test_a_run_tells_how_much_of_the_device_it_used(tmp_path):
    known = a_run(0)
    (case,) = known.cases
    ceiling = Ceiling(product=2e12, copy=1e11)
    counted = [msgspec.structs.replace(m, flops=5e9, ceiling=ceiling) for m in case.measurements]
    other = msgspec.structs.replace(case, id="tests/test_x.py::test[b]")
    run = msgspec.structs.replace(known, cases=(msgspec.structs.replace(case, measurements=tuple(counted)), other))
    shown = [" ".join(line.split()) for line in run_contents("r.json", run, 200).split("\n")]
    assert any(line.startswith("[a]") and line.endswith("0.499 TFLOP/s, 25% of the device's") for line in shown)
    assert any(line.startswith("[b]") and line.endswith("-") for line in shown)
    bare = msgspec.structs.replace(case, measurements=(msgspec.structs.replace(counted[0], ceiling=None),))
    assert "0.499 TFLOP/s\n" in run_contents("r.json", msgspec.structs.replace(known, cases=(bare,)), 200) + "\n"


def test_a_baseline_tells_the_noise_of_each_case(tmp_path):
    steady = a_baseline(*range(5))
    a, b = steady.cases
    series = tuple(msgspec.structs.replace(s, medians=(0.01 * (1 + 0.1 * (i % 2)),)) for i, s in enumerate(a.series))
    kept = msgspec.structs.replace(
        steady, cases=(msgspec.structs.replace(a, series=series, waiver=WAIVER), b), source=None
    )
    write_baseline(tmp_path / "base.json", kept)
    done = gpuperf("show", "base.json", cwd=tmp_path, bare=True)
    assert done.returncode == 0
    assert "base.json: a baseline, measured, 2 cases, 5 sessions" in done.stdout
    assert "waived until 2031-01-31: tests/test_x.py::test[a] (the <new> kernel | known)" in done.stdout
    assert re.search(r"\[a\] +5 +800 /s +10.0 ms +10.0% +10.1%", done.stdout)
    assert re.search(r"\[b\] +5 +800 /s +10.0 ms +0.0% +3.0%", done.stdout)
    assert "tells: the smallest slow-down" in done.stdout
    assert done.stdout.endswith(
        "1 case cannot tell 3%, worst first:\n"
        "tests/test_x.py::test[a] tells 10.1%: bimodal: 3 sessions near 10.0 ms, 2 near 11.0 ms\n"
    )


def test_only_the_worst_cases_of_many_are_explained():
    names = tuple("abcdefghijkl")
    kept = a_baseline(*range(5), cases=names)
    wide = msgspec.structs.replace(kept, cases=tuple(msgspec.structs.replace(c, margin=0.05) for c in kept.cases))
    text = baseline_contents("base.json", wide, 200)
    assert "12 cases cannot tell 3%, worst first:\n" in text
    assert text.count(" tells 5.0%: noisy: ") == 10
    assert text.endswith("\nand 2 more")


def test_one_session_says_nothing_of_noise():
    text = baseline_contents("base.json", a_baseline(0, cases=("a",)), 100)
    assert re.search(r"test\[a\] +1 +800 /s +10.0 ms +- +-\n", text)


def test_where_a_published_baseline_comes_from():
    published = msgspec.structs.replace(a_baseline(0), provenance="published", source="the vendor's table")
    text = baseline_contents("base.json", published, 100)
    assert "a baseline, published, the vendor's table, 2 cases, 1 session" in text
    assert "measured: " not in text


def test_which_cards_a_baseline_was_measured_on():
    measured = a_baseline(0)
    carded = msgspec.structs.replace(
        measured,
        sessions=tuple(msgspec.structs.replace(s, card="c0ffee", revision=None) for s in measured.sessions),
        environment=msgspec.structs.replace(measured.environment, software={}),
    )
    text = baseline_contents("base.json", carded, 100)
    assert "on 1 card\n" in text
    assert "software" not in text
    assert "revisions" not in text


def test_files_that_hold_nothing():
    empty = msgspec.structs.replace(run_of(), sessions=())
    assert run_contents("r.json", empty, 80).split("\n")[:2] == [
        "r.json: a run, 0 cases, 0 sessions",
        "device: Tesla T4, 15.0 GiB; timed by: -",
    ]
    hollow = msgspec.structs.replace(a_baseline(0), cases=(), sessions=())
    assert "tells:" not in baseline_contents("b.json", hollow, 80)


def test_hostile_names_and_unknown_memory():
    text = run_contents("r\x1b.json", run_of(*HOSTILE, peak_memory=None), 80)
    assert all(line.isprintable() for line in text.split("\n"))
    assert re.search(r"10.0 ms +-", text)


def test_what_is_no_file_of_ours(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    for name in ("x.json", "gone.json", "."):
        done = gpuperf("show", name, cwd=tmp_path)
        assert done.returncode == 4
        assert done.stderr.startswith("gpuperf: error: ")
        assert "Traceback" not in done.stderr


def test_a_reader_who_leaves_early(tmp_path):
    import os
    import subprocess
    import sys

    write_run(tmp_path / "run.json", run_of(*(f"t.py::test[{i}]" for i in range(5000))))
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "pytest_gpuperf", "show", "run.json"],
        cwd=tmp_path,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
