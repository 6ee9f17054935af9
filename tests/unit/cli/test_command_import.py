"""Story: figures that pytest-benchmark recorded become a run, and a run becomes a file that it reads."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
import stock_benchmark
from command import gpuperf
from examples import a_baseline, a_measurement, a_run

from pytest_gpuperf.records.files import read_run, write_baseline, write_run


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bench.json, as the stock plugin wrote it, and run.json, made of it."""
    folder = tmp_path_factory.mktemp("stock")
    done = stock_benchmark.record(folder)
    assert done.returncode == 0, done.stdout
    done = gpuperf("import", "pytest-benchmark", "bench.json", "--into", "run.json", cwd=folder, bare=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "run.json: a run of 8 cases. See them: gpuperf show run.json\n"
    return folder


def load(path: Path) -> Any:
    return json.loads(path.read_text())


def by_name(document: Any) -> dict[str, Any]:
    return {b["fullname"]: b for b in document["benchmarks"]}


def test_the_times_of_its_rounds_become_samples(recorded):
    run, stock = read_run(recorded / "run.json"), load(recorded / "bench.json")
    assert {c.id: pytest.approx(c.measurements[0].samples) for c in run.cases} == {
        b["fullname"]: b["stats"]["data"] for b in stock["benchmarks"]
    }
    assert {c.id: c.measurements[0].span_calls for c in run.cases} == {
        b["fullname"]: b["stats"]["iterations"] for b in stock["benchmarks"]
    }
    for case in run.cases:
        (measured,) = case.measurements
        assert (measured.items, measured.clock, case.test) == (1, "host", case.id)
        assert measured.notes == (f"imported from pytest-benchmark {stock['version']}",)


def test_parameters_are_kept(recorded):
    parameters = {c.id.partition("::")[2]: c.parameters for c in read_run(recorded / "run.json").cases}
    assert parameters["test_sum[list-10]"] == {"kind": "list", "size": "10"}
    assert parameters["test_few_rounds"] == {}
    assert parameters["test_shapes[named]"] == {"shape": '{"a": 1}'}
    done = gpuperf("ratios", "run.json", "--over", "size", cwd=recorded, bare=True)
    assert done.returncode == 0
    assert "kind tuple" in done.stdout


def test_what_it_does_not_say_is_left_out(recorded):
    run, stock = read_run(recorded / "run.json"), load(recorded / "bench.json")
    device = run.environment.device
    cpu = stock["machine_info"]["cpu"]
    assert (device.kind, device.name, device.cores, device.memory) == ("cpu", cpu["brand_raw"], cpu["count"], None)
    assert run.environment.software == {
        "python": cpu["python_version"].split(".final")[0],
        "pytest-benchmark": stock["version"],
    }
    (session,) = run.sessions
    assert (session.time, session.revision, session.card) == (f"{stock['datetime'][:19]}Z", None, None)
    for case in run.cases:
        (measured,) = case.measurements
        assert (measured.peak_memory, measured.energy, measured.latency, measured.warmup_calls) == (None, None, None, 0)
    assert gpuperf("show", "run.json", cwd=recorded, bare=True).returncode == 0


def test_the_same_file_is_the_same_session(recorded):
    gpuperf("import", "pytest-benchmark", "bench.json", "--into", "again.json", cwd=recorded)
    assert read_run(recorded / "again.json") == read_run(recorded / "run.json")


def test_an_imported_run_is_accepted_and_compared(recorded, tmp_path):
    run = recorded / "run.json"
    assert gpuperf("accept", run, "--into", "base.json", "--few", cwd=tmp_path, bare=True).returncode == 0
    done = gpuperf("compare", "base.json", run, "--min-decided", "0%", cwd=tmp_path, bare=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "of 8 decided" in done.stdout


def test_an_export_says_of_the_rounds_what_the_stock_plugin_says(recorded):
    """There and back: every figure of the file comes out again."""
    done = gpuperf("export", "run.json", "--format", "pytest-benchmark", "--into", "ours.json", cwd=recorded, bare=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    stock, ours = load(recorded / "bench.json"), load(recorded / "ours.json")
    assert list(by_name(ours)) == list(by_name(stock))
    for name, theirs in by_name(stock).items():
        made = by_name(ours)[name]
        assert made["stats"].keys() == theirs["stats"].keys()
        for figure in ("min", "max", "mean", "stddev", "rounds", "median", "q1", "q3", "ops", "total", "iterations"):
            assert made["stats"][figure] == pytest.approx(theirs["stats"][figure], rel=1e-6, abs=1e-12), figure
        assert made["stats"]["data"] == pytest.approx(theirs["stats"]["data"])
        assert made.keys() == theirs.keys()
        assert {k: made[k] for k in ("group", "name", "param")} == {k: theirs[k] for k in ("group", "name", "param")}
    assert ours["commit_info"] == {"id": "unversioned", "dirty": False}


def test_its_own_compare_reads_ours_beside_its_own(recorded):
    gpuperf("export", "run.json", "--format", "pytest-benchmark", "--into", "ours.json", cwd=recorded)
    done = stock_benchmark.compare(recorded, "bench.json", "ours.json", "--group-by", "fullname", "--csv=both.csv")
    assert done.returncode == 0, done.stderr
    for name in by_name(load(recorded / "bench.json")):
        short = name.partition("::")[2]
        assert f"{short} (bench)" in done.stdout
        assert f"{short} (ours)" in done.stdout
    assert (recorded / "both.csv").read_text().count("\n") == 1 + 16
    by_parameter = stock_benchmark.compare(recorded, "ours.json", "-k", "sum", "--group-by", "param:size")
    assert "benchmark 'size=1000': 2 tests" in by_parameter.stdout


def test_a_stock_session_compares_itself_with_ours(recorded):
    gpuperf("export", "run.json", "--format", "pytest-benchmark", "--into", "ours.json", cwd=recorded)
    held = ("--benchmark-compare", "ours.json", "--benchmark-compare-fail", "min:100000%", "-k", "rounds")
    done = stock_benchmark.record(recorded, *held)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_few_rounds (ours)" in done.stdout


def test_a_run_of_a_gpu_comes_back_as_it_was(tmp_path):
    before = a_run(0, energy=0.5, memory_source="torch allocator")
    (case,) = before.cases
    case = msgspec.structs.replace(case, id=f"{case.test}#prefill", parameters={"precision": "fp16", "batch": "8"})
    before = msgspec.structs.replace(
        before,
        cases=(case,),
        sessions=(msgspec.structs.replace(before.sessions[0], revision="abc123+dirty"),),
    )
    write_run(tmp_path / "run.json", before)
    gpuperf("export", "run.json", "--format", "pytest-benchmark", "--into", "ours.json", cwd=tmp_path, bare=True)
    gpuperf("import", "pytest-benchmark", "ours.json", "--into", "back.json", cwd=tmp_path, bare=True)
    after = read_run(tmp_path / "back.json")
    assert after.environment == before.environment
    assert (after.sessions[0].time, after.sessions[0].revision) == ("2026-01-01T02:00:00Z", "abc123+dirty")
    (kept,) = after.cases
    assert (kept.id, kept.test, kept.parameters) == (case.id, case.test, case.parameters)
    old, new = case.measurements[0], kept.measurements[0]
    assert new.samples == pytest.approx(old.samples)
    same = ("items", "clock", "span_calls", "peak_memory", "memory_source", "energy")
    assert [getattr(new, field) for field in same] == [getattr(old, field) for field in same]


def test_the_sessions_of_a_run_stand_in_order(tmp_path):
    run = a_run(0, 1)
    mixed = (a_measurement(0, 0.01, items=1), a_measurement(1, 0.02))  # two counts of items: only the newest is meant
    other = msgspec.structs.replace(run.cases[0], id="tests/test_x.py::other", measurements=mixed)
    write_run(tmp_path / "run.json", msgspec.structs.replace(run, cases=(*run.cases, other)))
    done = gpuperf("export", "run.json", "--format", "pytest-benchmark", cwd=tmp_path, bare=True)
    document = json.loads(done.stdout)
    assert document["datetime"] == "2026-01-02T02:00:00+00:00"
    both, newest = document["benchmarks"]
    assert (both["stats"]["rounds"], both["extra_info"]["gpuperf"]["sessions"]) == (64, 2)
    assert (newest["stats"]["rounds"], newest["extra_info"]["gpuperf"]["items"]) == (32, 8)
    assert "energy" not in both["extra_info"]["gpuperf"]


def test_a_run_that_holds_nothing_is_not_exported(tmp_path):
    write_run(tmp_path / "run.json", msgspec.structs.replace(a_run(), cases=()))
    done = gpuperf("export", "run.json", "--format", "pytest-benchmark", "--into", "ours.json", cwd=tmp_path)
    assert done.returncode == 4
    assert "holds no case" in done.stderr
    assert not (tmp_path / "ours.json").exists()


def edited(recorded: Path, tmp_path: Path, *keys: str | int, value: object) -> Path:
    document = load(recorded / "bench.json")
    node = document
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    path = tmp_path / "edited.json"
    path.write_text(json.dumps(document))
    return path


DATA = ("benchmarks", 3, "stats", "data")


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        ((*DATA, 0), 0, "benchmarks[3].stats.data[0]: Expected `float` >= 1e-15"),
        ((*DATA, 0), math.nan, "benchmarks[3].stats.data[0]: Expected `float` >= 1e-15"),
        ((*DATA, 0), "fast", "benchmarks[3].stats.data[0]: Expected `float`, got `str`"),
        (DATA, [], "benchmarks[3].stats.data: Expected `array` of length >= 1"),
        (DATA, None, "benchmarks[3].stats.data is missing"),
        (("benchmarks", 1, "fullname"), "test_bench.py::test_sum[list-10]", "test_sum[list-10] stands twice"),
        (("benchmarks",), [], "benchmarks is empty: nothing was measured"),
        (("datetime",), "yesterday", "Invalid isoformat string: 'yesterday'"),
        (("version",), None, "version: Expected `str`, got `null`"),
    ],
)
def test_a_file_that_no_run_can_be_made_of(recorded, tmp_path, keys, value, message):
    edited(recorded, tmp_path, *keys, value=value)
    done = gpuperf("import", "pytest-benchmark", "edited.json", "--into", "run.json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert "gpuperf: error: edited.json: no run can be made of it: " in done.stderr
    assert message in done.stderr
    assert "pytest --benchmark-json edited.json" in done.stderr
    assert not (tmp_path / "run.json").exists()


def test_what_we_do_not_read_may_be_anything(recorded, tmp_path):
    edited(recorded, tmp_path, "benchmarks", 0, "extra_info", value={"loss": math.nan})
    done = gpuperf("import", "pytest-benchmark", "edited.json", "--into", "run.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"machine_info": {}}'])
def test_a_file_of_something_else(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    done = gpuperf("import", "pytest-benchmark", "x.json", "--into", "run.json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("gpuperf: error: x.json: no run can be made of it: ")


def test_an_older_file_without_commit_zone_or_processor(recorded, tmp_path):
    document = load(recorded / "bench.json")
    document |= {
        "datetime": "2019-06-01T10:00:00.5",
        "commit_info": {"id": "abc", "dirty": False},
        "machine_info": {"machine": "riscv64"},
    }
    (tmp_path / "old.json").write_text(json.dumps(document))
    gpuperf("import", "pytest-benchmark", "old.json", "--into", "run.json", cwd=tmp_path)
    run = read_run(tmp_path / "run.json")
    assert (run.sessions[0].time, run.sessions[0].revision) == ("2019-06-01T10:00:00Z", "abc")
    assert (run.environment.device.name, run.environment.device.cores) == ("riscv64", None)
    assert run.environment.software == {"pytest-benchmark": document["version"]}
    (tmp_path / "old.json").write_text(json.dumps(document | {"machine_info": {}}))
    gpuperf("import", "pytest-benchmark", "old.json", "--into", "run.json", cwd=tmp_path)
    assert read_run(tmp_path / "run.json").environment.device.name == "unknown processor"


def test_a_saved_file_without_rounds_says_which_option_was_missing(tmp_path):
    assert stock_benchmark.record(tmp_path, "--benchmark-save", "short").returncode == 0
    (saved,) = (tmp_path / ".benchmarks").glob("*/*_short.json")
    done = gpuperf("import", "pytest-benchmark", saved, "--into", "run.json", cwd=tmp_path)
    assert done.returncode == 4
    assert "--benchmark-save-data" in done.stderr


def test_files_that_are_not_there_or_must_not_be_replaced(recorded, tmp_path):
    write_baseline(tmp_path / "base.json", a_baseline(0))
    write_run(tmp_path / "run.json", a_run(0))
    export = ("export", "run.json", "--format", "pytest-benchmark", "--into")
    for arguments, message in (
        (("import", "pytest-benchmark", "gone.json", "--into", "x.json"), "gone.json: there is no such file"),
        (("import", "pytest-benchmark", recorded / "bench.json", "--into", "base.json"), "a baseline stands there"),
        ((*export, "run.json"), "run.json: cannot be written: a run stands there"),
        ((*export, "base.json"), "base.json: cannot be written: a baseline stands there"),
        ((*export, "."), ".: cannot be written: this is a folder"),
        (("import", "asv", "x.json", "--into", "y.json"), "invalid choice: 'asv'"),
    ):
        done = gpuperf(*arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (4, "")
        assert message in done.stderr
    assert gpuperf("show", "run.json", cwd=tmp_path).returncode == 0
