"""Journals of energy scores, made up line by line."""

from __future__ import annotations

from pytest_gpuperf.comparison.energy_score import Score, score_of
from pytest_gpuperf.records.energy_score import (
    Asked,
    Head,
    Line,
    PartEnergy,
    Phase,
    Query,
    Session,
    StageFigures,
    Stretch,
    head_of,
)
from pytest_gpuperf.records.model import Device, Environment, Evidence

H100 = Device(kind="cuda", name="NVIDIA H100 80GB HBM3", memory=80 * 2**30)
LAPTOP = Device(kind="cpu", name="AMD EPYC", cores=2)
NO_GPU, NO_RAPL = "the model runs on the processor", "this machine shows no processor energy"


def a_head(device: Device = H100, software: dict[str, str] | None = None, **asked: object) -> Head:
    usual = {
        "model": "text:phi-2",
        "scale": "full",
        "pretrained": False,
        "precision": "fp16",
        "runs": 2,
        "queries": 3,
        "prompts": "drawn",
        "prompt_tokens": 128,
        "max_new_tokens": 10,
    }
    found = Asked(**(usual | asked))
    return head_of(found, Environment(device=device, software={"torch": "2.9"} if software is None else software))


def a_session(**changes: object) -> Session:
    usual = {
        "time": "2026-11-28T10:00:00Z",
        "command": "gpuperf energy-score text:phi-2",
        "card": "a1",
        "gpu": "GPU board, instant power",
        "cpu": "processor package, everybody's",
        "ram_watts": 36.0,
        "evidence": Evidence(verdict="proven"),
    }
    return Session(**(usual | changes))


def on_laptop(**changes: object) -> Session:
    return a_session(card=None, gpu=None, cpu=None, missing={"gpu": NO_GPU, "cpu": NO_RAPL}, **changes)


def a_query(run: int, number: int, joules: float | None = 720.0, **changes: object) -> Query:
    """Of 2 s and 720 J: 360 W, of which 60 are idle."""
    reason = None if joules is not None else "process 7 computes on this GPU too"
    usual = {
        "run": run,
        "number": number,
        "prompt_tokens": 128,
        "generated_tokens": 10,
        "seconds": 2.0,
        "latency": 1.9,
        "ttft": 0.1,
        "gpu": PartEnergy(joules=joules, sampled=joules, mean_watts=360.0, peak_watts=400.0, reason=reason),
        "cpu": PartEnergy(joules=100.0),
        "decode_joules": 450.0,
    }
    return Query(**(usual | changes))


def a_stretch(run: int, **changes: object) -> Stretch:
    return Stretch(**({"run": run, "gpu_idle_watts": 60.0, "gpu_period": 0.1} | changes))


STAGES = (
    StageFigures(name="idle", seconds=0.3, tensors=0, ours=2**20, others=2**30, watts=60.0, peak_watts=61.0),
    StageFigures(name="inference", seconds=12.0, tensors=2**30, ours=2**31, others=2**30, utilization=97),
)
PREFILL = Phase(name="prefill", joules=30.0, above_idle=20.0, note="energy of 50 calls in 5.0 s: energy counter")


def a_journal(head: Head | None = None, session: Session | None = None, **query: object) -> list[Line]:
    """Whole: every query answered by one process."""
    head = head or a_head()
    lines: list[Line] = [head, session or a_session(), *STAGES]
    for run in range(1, head.asked.runs + 1):
        lines.append(a_stretch(run))
        lines += [a_query(run, number + 1, **query) for number in range(head.asked.queries)]
    return [*lines, PREFILL]


def a_score(head: Head | None = None, session: Session | None = None, **query: object) -> Score:
    return score_of(a_journal(head, session, **query))
