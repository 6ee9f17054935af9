"""Story: the same streams, as other tools would report them."""

from __future__ import annotations

import json

import msgspec
import pytest
from command import gpuperf
from examples import a_run
from loads import a_text_load

from pytest_gpuperf.cli import main
from pytest_gpuperf.records.files import write_run


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of a load of 100 answers, its first token after 20 ms, then one every 10 ms, five in all."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    _write(tmp_path / "run.json", a_text_load())
    return tmp_path


def _write(path, load):
    whole = a_run(0)
    (case,) = whole.cases
    with_load = msgspec.structs.replace(case.measurements[0], text_load=load)
    cases = (
        msgspec.structs.replace(case, id="test_chat", measurements=(with_load,)),
        msgspec.structs.replace(case, id="test_chat#ttft"),
    )
    write_run(path, msgspec.structs.replace(whole, cases=cases))


def lines(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def test_our_own_figures_are_shown_first(run):
    done = gpuperf("text-figures", "run.json", cwd=run, bare=True)
    assert done.returncode == 0
    shown = lines(done.stdout)
    assert shown[0] == "test_chat"
    assert "TTFT mean 20.0 ms" in shown
    assert "TPOT p50 10.0 ms" in shown
    assert "E2E p90 60.0 ms" in shown
    assert not any(line.startswith("TTFT p99") for line in shown), "of 100 answers there is no p99"
    assert "generated tokens/s 250" in shown
    assert "- llama.cpp, tiny: 100 answers in 2.0 s, 50.0 /s" in shown
    assert "- gpuperf: TTFT: from sending to the first event with text" in shown


def test_other_tools_stand_beside_them(run, capsys):
    assert main(["text-figures", "run.json", "--as", "all", "--slo", "ttft=25ms,tpot=10ms"]) == 0
    shown = lines(capsys.readouterr().out)
    assert "figure gpuperf vllm aiperf guidellm" in shown
    assert "TTFT mean 20.0 ms 5.00 ms 20.0 ms 20.0 ms" in shown
    assert "TPOT mean 10.0 ms 15.0 ms 10.0 ms 12.0 ms" in shown
    assert "goodput, requests/s 50.0 /s 0 /s 50.0 /s 0 /s" in shown
    assert any("by gpuperf's figures 100% did" in line for line in shown)
    assert any(line.startswith("- guidellm: tokens: the server's count, else") for line in shown)


def test_a_published_limit_is_known_by_its_name(run, capsys):
    assert main(["text-figures", "run.json", "--slo", "mlperf-llama3.1-8b-interactive"]) == 0
    assert "(ttft 500 ms, tpot 30.0 ms)" in " ".join(lines(capsys.readouterr().out))


def test_as_markdown_and_as_json(run, capsys):
    assert main(["text-figures", "run.json", "chat", "--format", "markdown"]) == 0
    assert "| TTFT mean | 20.0 ms |" in capsys.readouterr().out
    assert main(["text-figures", "run.json", "--format", "json", "--as", "vllm", "--slo", "e2e=1s"]) == 0
    found = json.loads(capsys.readouterr().out)["test_chat"]["vllm"]
    assert found["ttft"]["mean"] == pytest.approx(0.005)
    assert found["goodput"] == pytest.approx(50.0)
    assert main(["text-figures", "run.json", "--format", "json"]) == 0
    assert "goodput" not in json.loads(capsys.readouterr().out)["test_chat"]["gpuperf"]


def test_what_is_not_known_and_not_kept_is_said(run, capsys):
    load = a_text_load()
    unknown = tuple(msgspec.structs.replace(s, generated_tokens=None) for s in load.streams[:50])
    _write(run / "run.json", msgspec.structs.replace(load, streams=unknown, streams_left_out=50, generated_tokens=None))
    assert main(["text-figures", "run.json", "--as", "gpuperf,guidellm"]) == 0
    shown = lines(capsys.readouterr().out)
    assert "generated tokens/s - 250" in shown
    assert "TPOT mean - 12.0 ms" in shown
    assert "- generated tokens are not known: the server does not count them, or its count cannot be true" in shown
    assert any("the figures are of the first 50 answers of 100" in line for line in shown)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--as", "sglang"], "There is no convention 'sglang'"),
        (["other"], "no case called 'other' holds the streams"),
        (["--slo", "ttfb=1s"], "there is no limit on 'ttfb'"),
        (["--slo", "ttft=1s,ttft=2s"], "ttft has two limits"),
        (["--slo", "ttft=500"], "is not a time above 0. Write it with its unit: ttft=500ms"),
        (["--slo", "ttft=0ms"], "is not a time above 0"),
        (["--slo", "ttft=1e-e5ms"], "is not a time above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(run, capsys, arguments, message):
    assert main(["text-figures", "run.json", *arguments]) == 4
    assert message in capsys.readouterr().err


def test_a_run_without_streams_says_where_they_come_from(run, capsys):
    write_run(run / "bare.json", a_run(0))
    assert main(["text-figures", "bare.json"]) == 4
    assert "They are kept by gpuperf_text_load and --gpuperf-save" in capsys.readouterr().err
