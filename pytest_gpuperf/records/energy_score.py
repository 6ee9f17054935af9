"""The journal of an energy score, line by line: what identifies it, each process's beginning, each query, once.

head                        what is run, on what, with which versions: the first line, and only that
session                     a process began: which meters it has, and why others are not to be had
stage                       what the device showed at one stage of that process's life
stretch                     a run begins, or goes on: watts of the idle device
query                       one query was answered; whatever is not a whole line did not happen
phase                       a part of a query that was measured in a window of its own
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from pytest_gpuperf.records.fields import Bytes, Count, Name, Record, Seconds, Time
from pytest_gpuperf.records.model import Environment, Evidence

Watts = Annotated[float, Meta(ge=0, le=1e6)]
Figure = Annotated[float, Meta(ge=-1e12, le=1e12)]  # joules; of a lap between two movements of a counter, any


class Asked(Record, frozen=True, kw_only=True):
    """What is run."""

    model: Name
    scale: Literal["full", "smoke"]
    pretrained: bool
    precision: Name
    runs: Count
    queries: Count  # of a run
    prompts: Name  # "drawn", or what identifies the texts
    prompt_tokens: Count | None = None  # of drawn prompts
    max_new_tokens: Count

    @property
    def total(self) -> int:
        """Queries of all runs."""
        return self.runs * self.queries


class Head(Record, frozen=True, kw_only=True, tag="head", tag_field="line"):
    """What identifies a score: another one is another journal."""

    format: Literal["gpuperf-energy-score"]
    version: Literal[1]
    asked: Asked
    environment: Environment


class Session(Record, frozen=True, kw_only=True, tag="session", tag_field="line"):
    """One process."""

    time: Time
    command: Name
    card: str | None = None
    gpu: Name | None = None  # its meter; None: see `missing`
    cpu: Name | None = None
    ram_watts: Watts | None = None
    missing: dict[Name, str] = {}  # "gpu", "cpu", "ram" -> why there is none
    evidence: Evidence | None = None  # which device did the work


class StageFigures(Record, frozen=True, kw_only=True, tag="stage", tag_field="line"):
    """What the device showed. None: not available."""

    name: Name
    seconds: Seconds
    tensors: Bytes | None = None
    ours: Bytes | None = None
    others: Bytes | None = None
    watts: Watts | None = None
    peak_watts: Watts | None = None
    utilization: Annotated[int, Meta(ge=0, le=100)] | None = None


class Stretch(Record, frozen=True, kw_only=True, tag="stretch", tag_field="line"):
    """One process begins with a run, or goes on with it."""

    run: Count
    gpu_idle_watts: Watts | None = None
    gpu_period: Seconds | None = None  # of the meter: between two readings that differ
    reason: str | None = None  # why there are no idle watts


class PartEnergy(Record, frozen=True, kw_only=True):
    """What one meter says of one query. None: not available."""

    joules: Figure | None = None
    sampled: Figure | None = None  # the same by sampled watts alone
    mean_watts: Watts | None = None  # sampled
    peak_watts: Watts | None = None
    reason: str | None = None  # why there are no joules
    watts_reason: str | None = None  # why there are no watts


class Query(Record, frozen=True, kw_only=True, tag="query", tag_field="line"):
    """One query, answered."""

    run: Count
    number: Count  # in its run
    prompt_tokens: Count
    generated_tokens: Count
    seconds: Seconds  # since the query before ended: tokenisation and gaps are in it
    latency: Seconds  # until its last token came
    ttft: Seconds
    gpu: PartEnergy | None = None  # None: its session has no such meter
    cpu: PartEnergy | None = None
    decode_joules: Figure | None = None  # of the device, from the first token to the last
    decode_reason: str | None = None


class Phase(Record, frozen=True, kw_only=True, tag="phase", tag_field="line"):
    """A part of a query, in a window of its own."""

    name: Literal["prefill"]
    joules: Figure | None = None  # of the device, of one query
    above_idle: Figure | None = None
    note: str  # how it was measured, or why it was not


def head_of(asked: Asked, environment: Environment) -> Head:
    """The first line of its journal."""
    return Head(format="gpuperf-energy-score", version=1, asked=asked, environment=environment)


Line = Head | Session | StageFigures | Stretch | Query | Phase
