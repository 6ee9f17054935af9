"""Comparing a run with a baseline: the one place that the plugin and the command line share."""

from __future__ import annotations

from pytest_gpuperf.results.records import Device, EvidenceKind, Record, Verdict, Waiver


class Finding(Record, frozen=True, kw_only=True):
    """The verdict on one figure of one case, with what is shown beside it."""

    case: str
    test: str
    line: int | None = None
    evidence: EvidenceKind
    metric: str  # the figure shown for this evidence: "throughput", "peak_memory", "energy"
    baseline: float  # in the metric's unit
    current: float
    tolerance: float  # of the metric, as a fraction
    baseline_sessions: int
    current_sessions: int
    verdict: Verdict
    waiver: Waiver | None = None
    notes: tuple[str, ...] = ()

    @property
    def fails(self) -> bool:
        """Whether this finding alone fails the session."""
        return self.verdict.word == "regressed" and self.waiver is None


class Rules(Record, frozen=True, kw_only=True):
    """What makes a whole comparison fail."""

    strict: bool = False  # inconclusive fails
    allow_missing: bool = False  # vanished and unmeasured cases do not fail
    min_decided: float = 0.8  # the share of compared cases that must get a verdict


class Comparison(Record, frozen=True, kw_only=True):
    """One run judged against one baseline: what every report is made from."""

    baseline: str  # where the baseline came from: a path
    device: Device
    changes: tuple[str, ...] = ()  # soft differences of the environment: "torch 2.13.0 -> 2.15.0"
    findings: tuple[Finding, ...]  # by case
    suite: Verdict | None = None  # of the suite as a whole, beyond what the canaries explain
    new: tuple[str, ...] = ()  # cases the baseline does not know
    vanished: tuple[str, ...] = ()  # cases of the baseline that are in scope and gone
    unmeasured: dict[str, str] = {}  # cases of the baseline whose tests ran but measured nothing -> why
    rules: Rules = Rules()
