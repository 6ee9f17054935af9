"""`gpuperf energy-score`: on a laptop in seconds, with a reason for each figure that cannot be had; and killed."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time

import pytest
import torch
from command import gpuperf
from transformers import PhiForCausalLM

from pytest_gpuperf.cli import main
from pytest_gpuperf.cli.energy_score import _Progress
from pytest_gpuperf.device import cuda, identity

assert torch  # its import takes seconds, which no test should be blamed for
assert PhiForCausalLM

QUICK = ("--device", "cpu", "--prompt-tokens", "6", "--max-new-tokens", "3", "--precision", "fp32")
COLUMNS = ("energy_wh", "gpu_energy_wh", "cpu_energy_wh", "ram_energy_wh", "total_energy_wh")


@pytest.fixture
def score(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")

    def run(*arguments, model="text:phi-2", into=tmp_path / "out", quick=QUICK):
        code = main(["energy-score", model, *quick, "--into", str(into), *map(str, arguments)])
        return code, capsys.readouterr()

    run.into = tmp_path / "out"
    return run


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_laptop_ends_in_seconds_and_says_why_there_is_no_energy(score):
    code, shown = score("--queries", "5", "--runs", "2", quick=("--device", "cpu"))
    assert code == 0, shown.err
    assert shown.out.startswith("AIEnergyScore-style: text:phi-2 (smoke, fp16) on ")
    assert "No GPU energy: the model runs on the processor" in shown.out
    assert "generated tokens/s" in shown.out
    assert "run 2 of 2, query 5 of 5; 0s left" in shown.err
    runs = table(score.into / "runs.csv")
    assert len(runs) == 2
    assert [name for name in runs[0] if name in COLUMNS] == list(COLUMNS)
    for name in ("energy_wh", "gpu_energy_wh"):
        assert (runs[0][name], name in runs[0]["missing"]) == ("", True)
    assert float(runs[0]["ram_energy_wh"]) > 0
    assert [(row["run"], row["query"]) for row in table(score.into / "queries.csv")] == [
        (str(run), str(query)) for run in (1, 2) for query in range(1, 6)
    ]
    stages = [row["stage"] for row in table(score.into / "stages.csv")]
    assert stages == ["idle", "load", "loaded", "inference", "clean-up"]
    assert "What differs from the official AIEnergyScore" in (score.into / "score.md").read_text()
    assert "<title>AIEnergyScore-style" in (score.into / "score.html").read_text()


def test_a_card_that_cannot_be_used_is_not_passed_over_in_silence(score, monkeypatch):
    monkeypatch.setattr(identity, "nvidia_cards", lambda: 1)
    monkeypatch.setattr(cuda, "why_missing", lambda: "its driver is not loaded.")
    code, shown = score("--queries", "1", "--runs", "1", "--device", "auto")
    assert code == 0
    assert "this machine has an NVIDIA card, which is not used: its driver is not loaded." in shown.err


def test_what_is_whole_is_only_reported_again(score, monkeypatch):
    arguments = ("--queries", "2", "--runs", "1")
    score(*arguments)
    journal = (score.into / "journal.jsonl").read_bytes()
    for file in ("runs.csv", "score.md"):
        (score.into / file).unlink()
    monkeypatch.setattr("pytest_gpuperf.text.energy_score.answer", None)
    code, shown = score(*arguments, "--grid", "56")
    assert (code, "all 2 queries were answered before" in shown.err) == (0, True)
    assert "Emissions: 56 g CO2e/kWh, as given." in shown.out
    assert (score.into / "journal.jsonl").read_bytes() == journal
    assert (score.into / "runs.csv").exists()


def test_the_journal_of_another_model_is_one_clear_message_and_nothing_is_lost(score):
    score("--queries", "2", "--runs", "1")
    before = {file: file.read_bytes() for file in score.into.iterdir()}
    code, shown = score("--queries", "2", "--runs", "1", model="text:gpt2")
    assert (code, shown.out) == (4, "")
    assert shown.err.count("\n") == 1
    assert "model text:phi-2 there, text:gpt2 here" in shown.err
    assert "--into DIR" in shown.err
    assert {file: file.read_bytes() for file in score.into.iterdir()} == before


def test_ctrl_c_says_how_to_go_on(score, monkeypatch):
    calling = _Progress.__call__

    def interrupting(self, done, left):
        calling(self, done, left)
        if done == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(_Progress, "__call__", interrupting)
        code, shown = score("--queries", "2", "--runs", "2")
    assert code == 2
    assert "gpuperf: interrupted; 3 queries are kept, of 4; go on with the same command." in shown.err
    assert not (score.into / "runs.csv").exists()
    code, shown = score("--queries", "2", "--runs", "2")
    assert code == 0
    assert "going on after 3 of 4 queries" in shown.err
    assert len(table(score.into / "queries.csv")) == 4


def test_texts_of_a_file_are_its_queries(score, tmp_path, model_folder):
    file = tmp_path / "chat.txt"
    file.write_text("w1 w2 w3\n\nw4\n")
    code, shown = score("--prompts", file, "--runs", "1", model=f"text:{model_folder}")
    assert code == 0, shown.err
    assert [row["prompt_tokens"] for row in table(score.into / "queries.csv")] == ["3", "1"]
    assert "Data set: the texts of chat.txt (sha256 " in (score.into / "score.md").read_text()
    file.write_text("w1 w2 w3\nw5\n")
    code, shown = score("--prompts", file, "--runs", "1", model=f"text:{model_folder}")
    assert code == 4
    assert "prompts chat.txt (sha256 " in shown.err
    lines = tmp_path / "chat.jsonl"
    lines.write_text('{"text": "w1\\nw2"}\n{"text": "w3"}\n')
    code, shown = score(
        "--prompts", lines, "--runs", "1", "--queries", "1", model=f"text:{model_folder}", into=tmp_path / "other"
    )
    assert code == 0, shown.err
    assert [row["prompt_tokens"] for row in table(tmp_path / "other" / "queries.csv")] == ["2"]


@pytest.fixture
def model_folder(tmp_path):
    """A model of one's own with a tokeniser of its own: a word is a token."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    folder = tmp_path / "model"
    folder.mkdir()
    config = {"model_type": "llama", "vocab_size": 512, "max_position_embeddings": 32, "num_key_value_heads": 4}
    (folder / "config.json").write_text(json.dumps(config))
    words = {"[UNK]": 0, **{f"w{n}": n for n in range(1, 300)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]").save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.txt", " \n\n", "there is no text in it"),
        ("a.txt", None, "there is no such file"),
        ("a.jsonl", '{"prompt": "x"}\n', "cannot be read as prompts ('text')"),
        ("a.jsonl", "no JSON\n", "cannot be read as prompts"),
        ("a.jsonl", "[1]\n", "cannot be read as prompts"),
        ("a.txt", "one\ntwo\n", "a.txt has 2 texts, and --queries asks for 3. Leave --queries out"),
    ],
)
def test_files_that_are_no_prompts(score, tmp_path, name, content, what):
    if content is not None:
        (tmp_path / name).write_text(content)
    code, shown = score("--prompts", tmp_path / name, "--queries", "3")
    assert code == 4
    assert what in shown.err


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--max-new-tokens", "0"), "0 is less than 1"),
        (("--queries", "0"), "0 is less than 1"),
        (("--runs", "x"), "'x' are no numbers"),
        (("--scale", "tiny"), "invalid choice"),
    ],
)
def test_what_makes_no_sense_is_refused(capsys, arguments, what):
    with pytest.raises(SystemExit) as ended:
        main(["energy-score", "text:phi-2", *arguments])
    assert ended.value.code == 4
    assert what in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "model", "what"),
    [
        (("--grid", "green"), "text:phi-2", "--grid green: write grams of CO2 equivalent per kWh"),
        (("--device", "gpu"), "text:phi-2", "'gpu' is not a device"),
        (("--precision", "int8"), "text:phi-2", "Text is not generated in int8 here"),
        ((), "resnet50", "'resnet50' is no language model"),
        (("--prompt-tokens", "3000"), "text:phi-2", "A prompt of 3000 tokens and 3 new ones are 3003"),
    ],
)
def test_what_cannot_be_run_is_a_message(score, arguments, model, what):
    code, shown = score("--queries", "1", *arguments, model=model)
    assert code == 4
    assert what in shown.err


def test_without_transformers_it_says_what_to_install(score, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    code, shown = score()
    assert code == 4
    assert "pip install 'pytest-gpuperf[text]'" in shown.err


def test_progress_is_shown_now_and_then(capsys, monkeypatch, asked_of_a_hundred):
    clock = iter((1.0, 11.0, 11.0, 12.0, 12.0))
    monkeypatch.setattr("pytest_gpuperf.cli.energy_score.monotonic", lambda: next(clock))
    progress = _Progress(asked_of_a_hundred, shown=0.0)
    progress(1, 100.0)
    assert capsys.readouterr().err == ""
    progress(2, 75.2)
    progress(100, 7300.0)
    assert capsys.readouterr().err.splitlines() == [
        "gpuperf: run 1 of 2, query 2 of 100; 1m 15s left",
        "gpuperf: run 1 of 2, query 100 of 100; 2h 1m left",
    ]


@pytest.fixture
def asked_of_a_hundred():
    from scores import a_head

    return a_head(queries=100).asked


def test_help_is_light(tmp_path):
    assert "--max-new-tokens" in gpuperf("energy-score", "--help", cwd=tmp_path, bare=True).stdout


ENDLESS = ("energy-score", "text:phi-2", *QUICK, "--queries", "40", "--runs", "2", "--into", "out")


def started(folder):
    command = [sys.executable, "-m", "pytest_gpuperf", *ENDLESS]
    with (folder / "said").open("w") as said:
        return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=said)


def answered(journal):
    lines = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
    return [(line["run"], line["number"]) for line in map(json.loads, lines) if line["line"] == "query"]


def ended_after(count, folder, number, meanwhile=lambda: None):
    """Start it, and end it when so many queries are answered in all: its exit code, and what it had answered."""
    journal = folder / "out" / "journal.jsonl"
    process = started(folder)
    until = time.monotonic() + 240
    while len(answered(journal)) < count:
        assert process.poll() is None, (folder / "said").read_text()
        assert time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(signal.SIGSTOP)
    meanwhile()
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    return process.wait(60), answered(journal)


def test_a_process_that_is_ended_loses_nothing_and_counts_nothing_twice(tmp_path):
    def another():
        done = gpuperf(*ENDLESS, cwd=tmp_path)
        assert done.returncode == 4
        assert "another process is at work on this journal" in done.stderr

    _, first = ended_after(7, tmp_path, signal.SIGKILL, another)
    code, second = ended_after(len(first) + 5, tmp_path, signal.SIGTERM)
    assert second[: len(first)] == first
    assert code == 2
    kept = f"interrupted; {len(second)} queries are kept, of 80; go on with the same command."
    assert kept in (tmp_path / "said").read_text()
    done = gpuperf(*ENDLESS, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert answered(tmp_path / "out" / "journal.jsonl") == [(r, q) for r in (1, 2) for q in range(1, 41)]
    assert len(table(tmp_path / "out" / "queries.csv")) == 80
