"""Story: why was my GPU idle, and what did my change do to it? Asked of traces that are there already."""

from __future__ import annotations

import gzip
import json
import os
import sys

import jsonschema
import msgspec
import pytest
from command import gpuperf
from traced_loops import GEMM, chrome_loop, nsight_loop

from pytest_gpuperf.cli import main
from pytest_gpuperf.cli.trace_files import names_of, traces_in
from pytest_gpuperf.records.schema import PUBLISHED
from pytest_gpuperf.records.trace_analysis import TraceAnalysis


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return tmp_path


def lines(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def test_one_trace_is_answered_without_torch_or_pytest(here):
    chrome_loop(here / "step.json.gz")
    done = gpuperf("trace", "step.json.gz", cwd=here, bare=True)
    assert done.returncode == 0, done.stderr
    shown = lines(done.stdout)
    assert shown[0] == "step.json.gz"
    assert shown[3].startswith("- cuda:0 computed ")
    assert {"Use of each device", "Idle, by cause", "Steps", "Longest gaps", "Copies", "Kernels that took most"} <= set(
        shown
    )
    assert any(line.startswith(f"{GEMM} 8 4.80 ms") for line in shown)


def test_its_help_loads_nothing_heavy(here):
    done = gpuperf("trace", "--help", cwd=here, bare=True)
    assert done.returncode == 0
    assert "--fail-over PERCENT" in done.stdout


def test_two_traces_are_compared_and_the_kernel_is_named(here, capsys):
    before, after = chrome_loop(here / "before.json"), chrome_loop(here / "after.json", gemm=700.0)
    assert main(["trace", str(before), str(after)]) == 0
    shown = lines(capsys.readouterr().out)
    assert shown[0] == "before.json -> after.json"
    assert "920.0 us -> 1.020 ms a step, 10.9% slower" in shown[3]
    assert any(line.startswith(f"- why: the same kernels, and one of them slower: {GEMM}") for line in shown)


@pytest.mark.parametrize(
    ("gemm", "tolerance", "code", "word"),
    [(700.0, "3%", 1, "regressed"), (700.0, "20%", 0, "unchanged"), (600.0, "3%", 0, "unchanged")],
)
def test_fail_over_gates(here, capsys, gemm, tolerance, code, word):
    before, after = chrome_loop(here / "before.json"), chrome_loop(here / "after.json", gemm=gemm)
    assert main(["trace", str(before), str(after), "--fail-over", tolerance, "--into", "out"]) == code
    assert f"- {word}: " in capsys.readouterr().out
    kept = json.loads((here / "out/trace_change.json").read_text())
    assert (kept["format"], kept["verdict"]["word"]) == ("gpuperf-trace-change", word)
    assert f"- {word}: " in (here / "out/trace_change.txt").read_text()
    assert (here / "out/before_performance_analysis.html").exists()


def test_steps_that_decide_nothing_have_the_exit_code_of_too_few_verdicts(here, capsys, monkeypatch):
    chrome_loop(here / "before.json")
    noisy = json.loads(chrome_loop(here / "after.json").read_text())
    shift = 0.0
    for event in noisy["traceEvents"]:
        event["ts"] += shift
        if event.get("cat") == "user_annotation":
            more = (0.0, 40.0, 160.0)[int(event["name"].partition("#")[2]) % 3]
            event["dur"] += more
            shift += more
    (here / "after.json").write_text(json.dumps(noisy))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert main(["trace", "before.json", "after.json", "--fail-over", "3%"]) == 7
    shown = capsys.readouterr().out
    assert "- inconclusive: " in shown
    assert "\n::warning title=after.json inconclusive" in shown


def test_on_github_the_pull_request_names_the_kernel(here, capsys, monkeypatch):
    before, after = chrome_loop(here / "before.json"), chrome_loop(here / "after.json", gemm=700.0)
    arguments = ["trace", str(before), str(after), "--fail-over", "3%"]
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert main(arguments) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(
        "::error title=after.json regressed%3A 10.9%25 slower%2C and 3%25 is tolerated::920.0 us -> "
    )
    assert f"one of them slower: {GEMM}" in last
    assert main([*arguments[:-1], "20%"]) == 0
    assert "::error" not in capsys.readouterr().out
    assert main([*arguments, "--format", "markdown"]) == 1
    assert "::error" not in capsys.readouterr().out


def test_another_card_is_no_gate(here, capsys):
    chrome_loop(here / "before.json")
    chrome_loop(here / "after.json", card="Tesla T4")
    assert main(["trace", "before.json", "after.json", "--fail-over", "3%"]) == 4
    assert "cuda:0 is NVIDIA A100-PG509-200 in one trace and Tesla T4 in the other" in capsys.readouterr().err
    assert main(["trace", "before.json", "after.json"]) == 0


@pytest.mark.parametrize("files", [["a.json"], ["a.json", "b.json", "c.json"], [".", "a.json"]])
def test_fail_over_goes_with_two_files(here, capsys, files):
    for name in ("a.json", "b.json", "c.json"):
        chrome_loop(here / name)
    assert main(["trace", *files, "--fail-over", "3%"]) == 4
    assert "exactly two files. Type: gpuperf trace BEFORE AFTER --fail-over 3%" in capsys.readouterr().err


def test_a_folder_is_a_batch_and_its_files_have_the_study_s_names(here, capsys):
    (here / "traces").mkdir()
    chrome_loop(here / "traces/gpu0_numa1_vit16x12x768_compile.json.gz")
    chrome_loop(here / "traces/gpu0_numa0_vit32x12x768_off.1700000000.pt.trace.json", wait=900.0)
    assert main(["trace", "traces", "--into", "out"]) == 0
    printed = capsys.readouterr()
    shown = lines(printed.out)
    assert shown[0] == "2 traces"
    assert any(line.startswith("gpu0_numa1_vit16x12x768_compile.json.gz cuda:0 ") for line in shown)
    assert "gpuperf: out/gpu0_numa1_vit16x12x768_compile_performance_analysis.txt, .json, .html" in printed.err
    stems = ("gpu0_numa0_vit32x12x768_off", "gpu0_numa1_vit16x12x768_compile")
    assert sorted(path.name for path in (here / "out").iterdir()) == sorted(
        f"{stem}_performance_analysis.{kind}" for stem in stems for kind in ("html", "json", "txt")
    )
    text = (here / "out" / f"{stems[1]}_performance_analysis.txt").read_text()
    assert lines(text)[3].startswith("- cuda:0 computed ")


def test_what_is_written_is_a_record_of_the_published_schema(here):
    chrome_loop(here / "step.json")
    assert main(["trace", "step.json", "--into", "out"]) == 0
    raw = (here / "out/step_performance_analysis.json").read_bytes()
    jsonschema.validate(json.loads(raw), json.loads((PUBLISHED / "trace-analysis.schema.json").read_text()))
    assert msgspec.json.decode(raw, type=TraceAnalysis).file == "step.json"
    assert main(["trace", "out", "step.json"]) == 4, "what gpuperf wrote is no trace"


def test_json_and_markdown_are_printed_for_programs_and_pull_requests(here, capsys):
    for name in ("a.json", "b.json", "c.json"):
        chrome_loop(here / name)
    assert main(["trace", "a.json", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == "gpuperf-trace-analysis"
    assert main(["trace", ".", "--format", "json"]) == 0
    assert [one["file"] for one in json.loads(capsys.readouterr().out)] == ["a.json", "b.json", "c.json"]
    assert main(["trace", "a.json", "b.json", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == "gpuperf-trace-change"
    assert main(["trace", "a.json", "--format", "markdown"]) == 0
    assert "| device |" in capsys.readouterr().out


def test_a_file_that_cannot_be_read_does_not_stop_the_others(here, capsys):
    for name in ("a.json", "b.json"):
        chrome_loop(here / name)
    (here / "c.json").write_text('{"lr": 0.1}')
    assert main(["trace", "."]) == 4
    printed = capsys.readouterr()
    assert "2 traces" in printed.out
    assert "gpuperf: error: c.json" in printed.err
    assert printed.err.endswith("gpuperf: error: 1 of 3 traces could not be read; the others are shown\n")
    (here / "only").mkdir()
    (here / "c.json").rename(here / "only/c.json")
    (here / "only/d.json").write_text("{}")
    assert main(["trace", "only"]) == 4
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["gone.json"], "gone.json: there is no such file"),
        (["step.json", "gone.nsys-rep"], "gone.nsys-rep: there is no such file"),
        (["step.json", "pipe.json"], "pipe.json: this is no regular file"),
        (["zero.json"], "zero.json: this is no regular file"),
        (["empty"], "empty: there is no trace in it. A trace ends in one of: .json, "),
    ],
)
def test_one_that_is_not_there_or_never_ends_is_an_error(here, capsys, arguments, what):
    chrome_loop(here / "step.json")
    (here / "empty").mkdir()
    os.mkfifo(here / "pipe.json")
    (here / "zero.json").symlink_to("/dev/zero")
    assert main(["trace", *arguments]) == 4
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"gpuperf: error: {what}" in printed.err


@pytest.mark.parametrize("broken", ["a.json", "b.json"])
def test_of_two_traces_both_must_be_read(here, capsys, broken):
    chrome_loop(here / "a.json")
    chrome_loop(here / "b.json")
    (here / broken).write_text("no trace")
    assert main(["trace", "a.json", "b.json"]) == 4
    assert f"gpuperf: error: {broken}" in capsys.readouterr().err


@pytest.fixture
def nsys(here, monkeypatch):
    """A program that stands in for nsys: a report is its export already, unless it is none."""
    (here / "bin").mkdir()
    program = here / "bin/nsys"
    program.write_text(
        '#!/bin/sh\ngrep -q SQLite "$4" || { echo \'no such report\'; exit 3; }\ncp "$4" "${3#--output=}"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{here}/bin:{os.environ['PATH']}")


def test_a_report_of_nsys_is_exported_on_the_way_and_once(here, capsys, nsys):
    nsight_loop(here / "step.nsys-rep")
    assert main(["trace", "step.nsys-rep", "--into", "out"]) == 0
    printed = capsys.readouterr()
    assert "gpuperf: step.nsys-rep: exported in " in printed.err
    shown = lines(printed.out)
    assert any(line.startswith(f"{GEMM} 8 4.80 ms 100%") for line in shown)
    assert "recorded by Nsight Systems, schema 3.11.7" in shown
    assert any(line.startswith("- 8 steps: the median takes 810 us") for line in shown)
    assert (here / "out/step_performance_analysis.html").exists()
    assert main(["trace", "step.nsys-rep", "step.sqlite"]) == 0
    printed = capsys.readouterr()
    assert "exported before, step.sqlite is used" in printed.err
    assert "both files have the same content" in printed.out


def test_a_report_that_nsys_cannot_export_is_an_error(here, capsys, nsys):
    (here / "step.nsys-rep").write_text("a report")
    assert main(["trace", "step.nsys-rep"]) == 4
    assert "exit code 3 and made no file: no such report. Try it by hand: nsys export" in capsys.readouterr().err
    chrome_loop(here / "other.json")
    assert main(["trace", "."]) == 4
    printed = capsys.readouterr()
    assert printed.out.startswith("other.json\n")
    assert printed.err.endswith("1 of 2 traces could not be read; the others are shown\n")


def test_the_page_needs_its_extra_before_anything_is_read(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert main(["trace", "gone.json", "--into", "out"]) == 4
    assert "pip install 'pytest-gpuperf[report]'" in capsys.readouterr().err


def test_a_truncated_trace_is_read_as_far_as_it_goes_and_says_so(here, capsys):
    whole = gzip.decompress(chrome_loop(here / "whole.json.gz", steps=20).read_bytes())
    (here / "cut.json").write_bytes(whole[: len(whole) * 2 // 3])
    assert main(["trace", "cut.json"]) == 0
    assert "- To be known: " in capsys.readouterr().out


def test_of_a_report_and_its_export_one_is_meant(here):
    for name in ("a.nsys-rep", "a.sqlite", "b.sqlite", "c.qdrep", "notes.txt", "trace_change.json"):
        (here / name).touch()
    assert [path.name for path in traces_in([here])] == ["a.nsys-rep", "b.sqlite", "c.qdrep"]
    assert [path.name for path in traces_in([here / "b.sqlite", here / "b.sqlite"])] == ["b.sqlite"]


def test_a_name_that_a_terminal_would_obey_is_spelled(here, capsys):
    content = json.loads(chrome_loop(here / "a.json").read_text())
    for event in content["traceEvents"]:
        event["name"] = event["name"].replace("ampere", "\u202eampere##[error]")
    (here / "a.json").write_text(json.dumps(content))
    assert main(["trace", "a.json", "--format", "json"]) == 0
    text = capsys.readouterr().out
    assert all(line.isprintable() for line in text.splitlines())
    assert "##[" not in text
    assert any(kernel["name"].startswith("\u202eampere##[error]") for kernel in json.loads(text)["devices"][0]["top"])


def test_no_two_traces_are_written_under_one_name(here):
    files = [here / name for name in ("a/step.json", "b/step.json.gz", "c/step.sqlite", "rank0.1700.pt.trace.json.gz")]
    assert list(names_of(files).values()) == [
        "step_performance_analysis",
        "step-2_performance_analysis",
        "step-3_performance_analysis",
        "rank0.1700_performance_analysis",
    ]
