"""Why a case runs at another speed, in words: the one source of these sentences for every report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pytest_gpuperf.analysis.causes import Cause, Explanation
from pytest_gpuperf.analysis.comparison import Comparison, Finding
from pytest_gpuperf.analysis.kernel_changes import KernelChange
from pytest_gpuperf.reports.figures import NONE
from pytest_gpuperf.results.units import format_change, format_seconds

KERNEL_HEADER = ("kernel", "count", "before", "now", "change", "what")
_LEAST = 1e-9  # seconds: less is nothing


def why(explanation: Explanation) -> str:
    """One line: ``why: 1 new copy ... (+41%); launches 52 -> 53; torch unchanged; SM clock 1,980 -> 1,980 MHz``."""
    return f"why: {'; '.join([*_first(explanation), *context(explanation)])}"


def why_of(finding: Finding, comparison: Comparison) -> str | None:
    """That line of a case whose time changed; None where nothing is known."""
    explanation = comparison.explanations.get(finding.case)
    return None if explanation is None or finding.evidence != "time" else why(explanation)


def sentences(explanation: Explanation) -> list[str]:
    """Every cause, the most likely first, each with its share of the call's time before."""
    return [_with_share(cause, explanation) for cause in explanation.causes]


def context(explanation: Explanation) -> list[str]:
    """What stands beside the causes, changed or not: launches, idle gaps, torch, clocks."""
    return [
        *_pair("launches", explanation.launches, str),
        *_moved_idle(explanation),
        *_torch(explanation),
        *_pair("SM clock", explanation.clock, lambda mhz: f"{mhz:,.0f}", " MHz"),
    ]


def kernel_rows(changes: Iterable[KernelChange]) -> list[tuple[str, ...]]:
    """The cells of `KERNEL_HEADER` for each kernel."""
    return [
        (
            change.title,
            _counts(change),
            *(format_seconds(s) if n else NONE for s, n in zip(change.seconds, change.count, strict=True)),
            _ratio(change),
            change.word,
        )
        for change in changes
    ]


def _first(explanation: Explanation) -> Iterator[str]:
    yield from sentences(explanation)[:1]
    if explanation.missing:
        yield explanation.missing


def _with_share(cause: Cause, explanation: Explanation) -> str:
    if cause.seconds is None or explanation.seconds is None or abs(cause.seconds) < _LEAST:
        return cause.sentence
    return f"{cause.sentence} ({format_change(1 + cause.seconds / explanation.seconds[0])} of the call)"


def _pair(name: str, pair: tuple[float, float] | None, shown: Callable[[float], str], unit: str = "") -> Iterator[str]:
    if pair is not None:
        yield f"{name} {shown(pair[0])} -> {shown(pair[1])}{unit}"


def _moved_idle(explanation: Explanation) -> Iterator[str]:
    if explanation.idle is not None and max(explanation.idle) >= _LEAST:
        before, now = explanation.idle
        yield f"idle {format_seconds(max(before, _LEAST))} -> {format_seconds(max(now, _LEAST))}"


def _torch(explanation: Explanation) -> Iterator[str]:
    changed = [what for what in explanation.software if what.startswith("torch ")]
    yield from changed or ["torch unchanged"]


def _counts(change: KernelChange) -> str:
    before, now = change.count
    return str(now) if before == now else f"{before} -> {now}"


def _ratio(change: KernelChange) -> str:
    before, now = change.seconds
    return format_change(now / before) if before > 0 and now > 0 else NONE
