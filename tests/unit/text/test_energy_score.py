"""Queries are answered into a journal: on a scripted card whose power is known, and by processes that are ended."""

from __future__ import annotations

import json
from dataclasses import replace
from time import monotonic, sleep

import pytest
import torch
from nvml.standin import Gpu, Machine
from scores import a_head
from transformers import PhiForCausalLM

from pytest_gpuperf.comparison.energy_score import score_of
from pytest_gpuperf.device.choice import card_sensors, choose_device
from pytest_gpuperf.device.counter import CpuMeter
from pytest_gpuperf.device.laps import Laps
from pytest_gpuperf.errors import MissingError, OutOfMemoryError, UsageError
from pytest_gpuperf.records.energy_score import Asked, Phase, Query, Session, Stretch, head_of
from pytest_gpuperf.records.journal import open_journal
from pytest_gpuperf.records.model import Device
from pytest_gpuperf.text import energy_score
from pytest_gpuperf.text.energy_score import answer, is_whole

IDLE, BUSY = 60.0, 260.0


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(energy_score, "SETTLE", 0.15)  # the scripted card's watts are those of the moment
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def asked(**more) -> Asked:
    usual = {"scale": "smoke", "precision": "fp32", "prompt_tokens": 6, "max_new_tokens": 3, "queries": 4}
    return a_head(**(usual | more)).asked


def nothing(*_):
    """No progress is shown."""


def measured(tmp_path, what, chosen, texts=None, progress=nothing):
    with open_journal(tmp_path / "journal.jsonl", head_of(what, chosen.environment())) as journal:
        if not is_whole(what, journal):
            answer(what, texts, chosen, journal, command="gpuperf energy-score", progress=progress)
        return list(journal.lines)


@pytest.fixture
def card(machine: Machine):
    """torch runs on the processor, and the sensors are those of the scripted card."""
    device = Device(kind="cuda", name=machine.gpus[0].name, memory=machine.gpus[0].memory_total)
    return replace(choose_device("cpu"), device=device, card="a1", sensors=card_sensors(machine.gpus[0].uuid, None))


def test_on_the_processor_queries_are_answered_and_energy_has_reasons(tmp_path):
    lines = measured(tmp_path, asked(), choose_device("cpu"))
    queries = [line for line in lines if isinstance(line, Query)]
    assert [(q.run, q.number) for q in queries] == [(run, number) for run in (1, 2) for number in (1, 2, 3, 4)]
    for query in queries:
        assert (query.prompt_tokens, query.generated_tokens) == (6, 3)
        assert 0 < query.ttft < query.latency <= query.seconds
        assert query.gpu is None
    (session,) = (line for line in lines if isinstance(line, Session))
    assert session.missing["gpu"] == "the model runs on the processor"
    assert session.evidence.verdict == "proven"
    score = score_of(lines)
    assert score.runs[0].gpu.value is None
    assert score.runs[0].ram.value > 0
    assert [stage.name for _, stage in score.stages] == ["idle", "load", "loaded", "inference", "clean-up"]


def at_work(machine: Machine, monkeypatch, seconds: float) -> None:
    """The card works while queries are answered, each for so many seconds at least, and idles before."""
    starting = Laps.start

    def start(self, at):
        starting(self, at)
        machine.change(power=BUSY)

    monkeypatch.setattr(Laps, "start", start)
    monkeypatch.setattr(energy_score.Generate, "answer", _lasting(seconds))


def test_on_a_card_its_energy_is_that_of_the_trace(tmp_path, machine: Machine, card, monkeypatch):
    at_work(machine, monkeypatch, 0.025)
    machine.change(power=IDLE, counter_period=0.02)
    what = asked(queries=60)

    def idle_between_runs(done, _left):
        if done % what.queries == 0:
            machine.change(power=IDLE)

    score = score_of(measured(tmp_path, what, card, progress=idle_between_runs))
    for run in score.runs:
        assert run.gpu.value == pytest.approx(BUSY * run.seconds, rel=0.02)
        assert run.sampled.value == pytest.approx(BUSY * run.seconds, rel=0.1)
        assert run.above_idle.value == pytest.approx((BUSY - IDLE) * run.seconds, rel=0.03)
        assert run.peak_watts.value == pytest.approx(BUSY)
        assert run.doubts == []
    session = score.sessions[0]
    assert (session.gpu, session.card) == ("GPU board, instant power", "a1")
    assert "gpu" not in session.missing
    assert score.prefill.joules is not None
    assert "energy counter" in score.prefill.note
    assert score.runs[0].decode.reason.endswith("are needed for 2 %")
    assert {stage.name for _, stage in score.stages if stage.watts} >= {"idle", "loaded", "inference", "clean-up"}
    assert [stage.utilization for _, stage in score.stages if stage.name == "inference"] == [0]


def test_a_power_that_changes_is_followed(tmp_path, machine: Machine, card, monkeypatch):
    """The card alternates between two powers: over whole rounds the mean is known."""
    monkeypatch.setattr(energy_score.Generate, "answer", _lasting(0.05))
    machine.gpus[0] = Gpu(power={0: 230.0, 0.0237: 310.0}, power_repeat=0.0531, counter_period=0.02)
    machine.write()
    score = score_of(measured(tmp_path, asked(queries=40, runs=1), card))
    assert score.runs[0].mean_watts.value == pytest.approx((0.0237 * 230 + 0.0294 * 310) / 0.0531, rel=0.02)


def _lasting(seconds):
    answering = energy_score.Generate.answer

    def slowly(self, batch):
        sleep(seconds)
        return answering(self, batch)

    return slowly


def test_somebody_else_on_the_card_leaves_a_run_without_energy(tmp_path, machine: Machine, card):
    machine.change(processes=((2**22 + 1, 1),))
    score = score_of(measured(tmp_path, asked(runs=1), card))
    assert "computes on this GPU too" in score.runs[0].gpu.reason
    assert "computes on this GPU too" in score.runs[0].above_idle.reason
    assert score.prefill.joules is None
    assert "computes on this GPU too" in score.prefill.note


def test_a_card_that_nvml_does_not_know_is_a_reason(tmp_path, machine: Machine, card):
    unknown = replace(card, sensors=card_sensors("GPU-unknown", None))
    lines = measured(tmp_path, asked(runs=1), unknown)
    score = score_of(lines)
    assert "NVML knows no device" in score.runs[0].gpu.reason
    assert score.prefill.note == "not measured: the device has no meter of energy here"


class Processor(CpuMeter):
    """One that counts its energy: 200 W, whatever it does."""

    def energy(self) -> float:
        return 200.0 * monotonic()


def test_a_processor_that_counts_its_energy_has_all_but_the_gpu_s(tmp_path, monkeypatch):
    monkeypatch.setattr(energy_score.Generate, "answer", _lasting(0.1))
    chosen = choose_device("cpu")
    chosen = replace(chosen, sensors=replace(chosen.sensors, meter=Processor()))
    score = score_of(measured(tmp_path, asked(), chosen))
    for run in score.runs:
        assert run.gpu.reason == "the model runs on the processor"
        assert run.cpu.value == pytest.approx(200 * run.seconds, rel=0.05)
        assert run.total.value == run.cpu.value + run.ram.value
    assert score.sessions[0].cpu == "processor package, everybody's"
    assert score.prefill.joules > 0


def test_a_long_decode_is_a_phase(tmp_path, machine: Machine, card, monkeypatch):
    forward = PhiForCausalLM.forward

    def paced(self, *args, **more):
        sleep(0.02)
        return forward(self, *args, **more)

    monkeypatch.setattr(PhiForCausalLM, "forward", paced)
    monkeypatch.setattr("pytest_gpuperf.records.enough_energy.ENOUGH_SECONDS", 0.25)
    machine.change(power=BUSY)
    run = score_of(measured(tmp_path, asked(runs=1, queries=2, max_new_tokens=20), card)).runs[0]
    for answered in run.answered:
        seconds = answered.query.latency - answered.query.ttft
        assert answered.query.decode_joules == pytest.approx(BUSY * seconds, rel=0.1)
    assert run.decode.value == pytest.approx(sum(a.query.decode_joules for a in run.answered) / 38)


def test_a_single_token_has_no_decode(tmp_path):
    lines = measured(tmp_path, asked(runs=1, max_new_tokens=1), choose_device("cpu"))
    assert {q.decode_reason for q in lines if isinstance(q, Query)} == {
        "a single token is generated, which prefill gives"
    }


class Stop(Exception):  # noqa: N818 - no error: it stands for a kill
    pass


def stopping_after(count):
    def progress(done, _left):
        if done == count:
            raise Stop

    return progress


@pytest.mark.parametrize("after", [1, 4, 6, 8])
def test_whoever_goes_on_begins_where_it_was_ended(tmp_path, after):
    chosen, what = choose_device("cpu"), asked()
    with pytest.raises(Stop):
        measured(tmp_path, what, chosen, progress=stopping_after(after))
    seen = []
    lines = measured(tmp_path, what, chosen, progress=lambda done, left: seen.append((done, left)))
    queries = [line for line in lines if isinstance(line, Query)]
    assert [(q.run, q.number) for q in queries] == [(run, number) for run in (1, 2) for number in (1, 2, 3, 4)]
    assert [done for done, _ in seen] == list(range(after + 1, 9))
    assert seen == [] or (seen[-1][1] == 0 and all(left > 0 for _, left in seen[:-1]))
    assert sum(isinstance(line, Session) for line in lines) == 2
    pieces = [run.stretches for run in score_of(lines).runs]
    assert pieces == {1: [2, 1], 4: [1, 1], 6: [1, 2], 8: [1, 1]}[after]
    assert measured(tmp_path, what, chosen) == lines  # nothing is left to do


def test_prefill_alone_may_be_left_to_do(tmp_path, monkeypatch):
    chosen, what = choose_device("cpu"), asked(runs=1)

    def stop(*_):
        raise Stop

    with monkeypatch.context() as patched:
        patched.setattr(energy_score._Process, "prefill", stop)
        with pytest.raises(Stop):
            measured(tmp_path, what, chosen)
    lines = measured(tmp_path, what, chosen)
    assert sum(isinstance(line, Phase) for line in lines) == 1
    assert sum(isinstance(line, Stretch) for line in lines) == 1


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


def of_texts(folder, texts):
    return asked(model=f"text:{folder}", prompts="x", prompt_tokens=None, queries=len(texts), runs=1)


def test_texts_are_cut_into_tokens_as_part_of_their_query(tmp_path, model_folder, monkeypatch):
    texts = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9"]
    lines = measured(tmp_path, of_texts(model_folder, texts), choose_device("cpu"), texts)
    assert [q.prompt_tokens for q in lines if isinstance(q, Query)] == [3, 1, 5]
    from pytest_gpuperf.text.model import TextModel

    cutting = TextModel.token_ids

    def slow(self, texts):
        sleep(0.15 * (len(texts) == 1))
        return cutting(self, texts)

    monkeypatch.setattr(TextModel, "token_ids", slow)
    slowly = measured(tmp_path / "slow", of_texts(model_folder, texts), choose_device("cpu"), texts)
    assert all(q.ttft > 0.15 for q in slowly if isinstance(q, Query))


def test_a_tokeniser_that_is_not_there_says_how_to_do_without(tmp_path, model_folder):
    for file in model_folder.glob("token*"):
        file.unlink()
    with pytest.raises(MissingError, match="leave --prompts out"):
        measured(tmp_path, of_texts(model_folder, ["w1"]), choose_device("cpu"), ["w1"])


def test_a_prompt_longer_than_the_context_is_refused(tmp_path, model_folder):
    text = " ".join(["w1"] * 30)
    with pytest.raises(UsageError, match=r"A prompt of 30 tokens and 3 new ones are 33, and .* has room for 32"):
        measured(tmp_path, of_texts(model_folder, [text]), choose_device("cpu"), [text])


def test_out_of_memory_in_prefill_keeps_what_was_answered(tmp_path, monkeypatch):
    answering, what = energy_score.Generate.answer, asked()

    def full(self, batch):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def progress(done, _left):
        if done == 2:
            monkeypatch.setattr(energy_score.Generate, "answer", full)

    with pytest.raises(OutOfMemoryError, match=r"in fp32: CUDA out of memory.*\. 2 queries are kept\."):
        measured(tmp_path, what, choose_device("cpu"), progress=progress)
    monkeypatch.setattr(energy_score.Generate, "answer", answering)
    lines = measured(tmp_path, what, choose_device("cpu"))
    assert sum(isinstance(line, Query) for line in lines) == what.total


def test_another_error_is_not_taken_for_that(tmp_path, monkeypatch):
    def broken(self, batch):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(energy_score.Generate, "answer", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        measured(tmp_path, asked(), choose_device("cpu"))
