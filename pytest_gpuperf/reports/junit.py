"""What a case's figures and verdict are called in JUnit files and in every other report that pytest's plugins write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Protocol

from pytest_gpuperf.comparison.findings import Finding
from pytest_gpuperf.records.model import Case
from pytest_gpuperf.reports.figures import has_interval, reason, word

DIGITS = 6
Property = tuple[str, str]


class Described(Protocol):
    """A test's item or report, as pytest has them."""

    user_properties: list[tuple[str, object]]


def describe(described: Described, case: Case, device: str) -> None:
    """Say what was measured, before the test's reports are made."""
    _set(described, measured_properties(case, device))


def describe_again(
    reports: Iterable[Described], cases: Sequence[Case], findings: Sequence[Finding], device: str
) -> None:
    """Say what was measured in the end, suspects once more, and what that was judged to be."""
    properties = [p for case in cases for p in measured_properties(case, device)]
    for report in reports:  # JUnit reads those of the teardown
        _set(report, [*properties, *judged_properties(findings)])


def _set(described: Described, properties: Sequence[Property]) -> None:
    names = {name for name, _ in properties}
    described.user_properties = [*(p for p in described.user_properties if p[0] not in names), *properties]


def measured_properties(case: Case, device: str) -> list[Property]:
    """The figures of a case. A second measurement of one test says its name: ``gpuperf#prefill.throughput``."""
    newest = case.measurements[-1]
    samples = [s for m in case.measurements for s in m.samples]
    peaks = [m.peak_memory for m in case.measurements if m.peak_memory is not None]
    found = {
        "throughput": _number(median(m.throughput for m in case.measurements)),  # items a second
        "median": _number(median(samples)),  # seconds a call
        "clock": newest.clock,
        "sessions": str(len(case.measurements)),
        "device": device,
        "evidence": newest.evidence.verdict if newest.evidence else "not looked at",
        **({"peak_memory": str(round(median(peaks)))} if peaks else {}),  # bytes
        **({} if newest.peak_allocated is None else {"peak_allocated": str(newest.peak_allocated)}),
    }
    if newest.pipeline is not None:
        found |= {"bottleneck": newest.pipeline.bottleneck, "efficiency": _number(newest.pipeline.efficiency)}
    return [(f"{_prefix(case.id, case.test)}.{name}", text) for name, text in found.items()]


def judged_properties(findings: Sequence[Finding]) -> list[Property]:
    """The verdicts of one test's cases. Ratios are of a cost: above 1 is worse. Intervals are of 90 %."""
    return [pair for finding in findings for pair in _judged(finding)]


def _judged(finding: Finding) -> Iterator[Property]:
    prefix = _prefix(finding.case, finding.test)
    prefix = prefix if finding.evidence == "time" else f"{prefix}.{finding.evidence}"
    verdict = finding.verdict
    yield f"{prefix}.verdict", word(finding)
    yield f"{prefix}.ratio", _number(verdict.ratio)
    if has_interval(verdict):
        yield f"{prefix}.interval", f"{_number(verdict.low)} {_number(verdict.high)}"
    if verdict.margin is not None:
        yield f"{prefix}.margin", _number(verdict.margin)
    yield f"{prefix}.basis", verdict.basis
    if finding.turns:
        yield f"{prefix}.base_revision", finding.turns.base
        yield f"{prefix}.launches", str(finding.turns.launches)
    yield f"{prefix}.reason", reason(finding)


def _prefix(case: str, test: str) -> str:
    return "gpuperf" + case.removeprefix(test)


def _number(value: float) -> str:
    return f"{value:.{DIGITS}g}"
