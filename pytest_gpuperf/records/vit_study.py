"""A study of vision transformers: what was tried, and a summary that says which raw files it was made from.

DIR/
├── raw/CASE.N.json    a run file: session N of a case, from a fresh process
├── attempts.jsonl     a line for each session that was tried: how long it took, and why it gave nothing
└── study.json         the summary: VitStudy
    ├── Source ...     a file and its hash: a summary of other files than stand there is stale
    ├── CaseFigures ...── SessionFigures ...
    ├── Finding ...    a ratio, its interval, and a sentence
    └── failed         test -> why its last attempt gave nothing
"""

from __future__ import annotations

from statistics import median
from typing import Annotated, Literal

from msgspec import Meta

from pytest_gpuperf.records.compile_cost import CompileCost
from pytest_gpuperf.records.fields import Bytes, Count, Joules, Name, Rate, Record, Seconds
from pytest_gpuperf.records.model import Environment

VIT_STUDY = "gpuperf-vit-study"
VERSION = 1
RAW = "raw"  # folder of the runs, in the study's
ATTEMPTS = "attempts.jsonl"
SUMMARY = "study.json"
Scale = Literal["full", "smoke"]


class Attempt(Record, frozen=True, kw_only=True):
    """One fresh process of one case, or the reason why none was started."""

    test: Name
    session: Count
    seconds: Seconds | None = None  # None: nothing was started
    failed: Name | None = None  # why it gave nothing


class Source(Record, frozen=True, kw_only=True):
    """A file that the summary was made from."""

    file: Name  # from the study's folder
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class SessionFigures(Record, frozen=True, kw_only=True):
    """One session of a case."""

    number: Count
    file: Name
    seconds: Seconds  # a call, by `clock`
    clock: Name
    throughput: Rate  # images a second
    latency: Seconds | None = None  # the median of single calls
    product: Rate | None = None  # floating-point operations a second of a large matrix product, in this session
    peak_memory: Bytes | None = None
    memory_source: Name | None = None
    energy: Joules | None = None  # an image
    copied: Rate | None = None  # bytes a second of images on their way to the device
    bound_share: Rate | None = None  # of a pipeline: the slowest stage's bound over the time that an item took
    bottleneck: Name | None = None  # of a pipeline
    compile_cost: CompileCost | None = None  # apart from all figures above
    notes: tuple[Name, ...] = ()


class CaseFigures(Record, frozen=True, kw_only=True):
    """One case: what its sizes say, and what its sessions measured."""

    test: Name
    patch: Count
    depth: Count
    hidden: Count
    resolution: Count
    way: Name  # a back end, a place, or a pipeline's design
    tokens: Count
    parameters: Count
    flops: Annotated[int, Meta(ge=1, le=2**63 - 1)]  # of a call
    memory_estimate: Bytes
    sessions: Annotated[tuple[SessionFigures, ...], Meta(min_length=1)]

    @property
    def seconds(self) -> float:
        """Of a call, the median of the sessions; so are the others."""
        return median(s.seconds for s in self.sessions)

    @property
    def throughput(self) -> float:
        return median(s.throughput for s in self.sessions)

    @property
    def flops_per_second(self) -> float:
        """Operations of a call over its time."""
        return self.flops / self.seconds

    @property
    def latency(self) -> float | None:
        return _middle([s.latency for s in self.sessions])

    @property
    def peak_memory(self) -> float | None:
        return _middle([s.peak_memory for s in self.sessions])

    @property
    def copied(self) -> float | None:
        return _middle([s.copied for s in self.sessions])

    @property
    def bound_share(self) -> float | None:
        return _middle([s.bound_share for s in self.sessions])

    @property
    def energy(self) -> float | None:
        return _middle([s.energy for s in self.sessions])


class Finding(Record, frozen=True, kw_only=True):
    """One ratio, and what it says. Without an interval: one session each."""

    question: Count
    sentence: Name
    ratio: Rate
    low: Rate | None = None
    high: Rate | None = None
    sessions: Count  # of each of the two


class VitStudy(Record, frozen=True, kw_only=True):
    """All that the raw files say. The same files always give the same summary."""

    format: Literal["gpuperf-vit-study"] = VIT_STUDY
    version: Literal[1] = VERSION
    scale: Scale
    environment: Environment
    batch: Count
    precision: Name
    product: Rate | None = None  # the best large matrix product of all sessions: what efficiency is a share of
    sources: tuple[Source, ...]
    cases: tuple[CaseFigures, ...]
    findings: tuple[Finding, ...] = ()
    failed: dict[Name, Name] = {}  # test -> why its last attempt gave nothing

    def efficiency(self, figures: CaseFigures) -> float | None:
        """The share of the best matrix product that a case reaches; None where no session could measure one."""
        return None if self.product is None else figures.flops_per_second / self.product


def _middle(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
