"""Why a case runs at another speed, in words: the one source of these sentences for every report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pytest_gpuperf.analysis.causes import Cause, Explanation
from pytest_gpuperf.analysis.explaining import NOTHING_KEPT
from pytest_gpuperf.analysis.findings import Comparison, Finding
from pytest_gpuperf.analysis.kernel_changes import KernelChange
from pytest_gpuperf.reports.figures import NONE
from pytest_gpuperf.results.units import format_change, format_seconds

KERNEL_HEADER = ("kernel", "count", "before", "now", "change", "what")
_LEAST = 1e-9  # seconds: less is nothing
_ALL = 0.9  # of the change, and beyond: one call's times know no better


def why(explanation: Explanation) -> str:
    """One line: ``why: 1 copy more: copy_ (contiguous), 80% of the change; launches 52 -> 53; torch unchanged``."""
    first = sentences(explanation)[:1]
    missing = [explanation.missing] if explanation.missing else []
    return f"why: {'; '.join([*first, *(missing if not first else []), *context(explanation)])}"


def why_of(finding: Finding, comparison: Comparison) -> str | None:
    """That line of a case whose time changed; None where nothing is known, and nothing could be."""
    explanation = comparison.explanations.get(finding.case)
    if explanation is None or finding.evidence != "time":
        return None
    told = explanation.causes or context(explanation) or explanation.missing != NOTHING_KEPT
    return why(explanation) if told else None


def sentences(explanation: Explanation) -> list[str]:
    """Every cause, the most likely first, each with its share of the change."""
    return [_with_share(cause, explanation) for cause in explanation.causes]


def context(explanation: Explanation) -> list[str]:
    """What stands beside the causes, changed or not: launches, idle gaps of a GPU, torch, clocks."""
    on_gpu = explanation.unit == "kernel"
    return [
        *_pair("launches" if on_gpu else "operators", explanation.launches, str),
        *_pair("idle", explanation.idle if on_gpu else None, lambda seconds: format_seconds(max(seconds, _LEAST))),
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


def _with_share(cause: Cause, explanation: Explanation) -> str:
    """What it accounts for, where that is known and goes the way of the change."""
    if cause.seconds is None or explanation.seconds is None:
        return cause.sentence
    before, now = explanation.seconds
    share = cause.seconds / (now - before) if now != before else 0.0
    if share < 0.01:
        return cause.sentence
    return f"{cause.sentence}, {'all' if share >= _ALL else f'{share:.0%}'} of the change"


def _pair(name: str, pair: tuple[float, float] | None, shown: Callable[[float], str], unit: str = "") -> Iterator[str]:
    if pair is not None:
        yield f"{name} {shown(pair[0])} -> {shown(pair[1])}{unit}"


def _torch(explanation: Explanation) -> Iterator[str]:
    if any(cause.kind == "software" for cause in explanation.causes[:1]):  # which has said it
        return
    ran = explanation.launches is not None  # else it may not even be there
    yield from [w for w in explanation.software if w.startswith("torch ")] or (["torch unchanged"] if ran else [])


def _counts(change: KernelChange) -> str:
    before, now = change.count
    return str(now) if before == now else f"{before} -> {now}"


def _ratio(change: KernelChange) -> str:
    before, now = change.seconds
    return format_change(now / before) if before > 0 and now > 0 else NONE
