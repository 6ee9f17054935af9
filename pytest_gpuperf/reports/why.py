"""Why a case runs at another speed: its causes in words, for every report, and its kernels as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from pytest_gpuperf.causes.explain import NOTHING_KEPT, Cause, Explanation
from pytest_gpuperf.causes.kernels import KernelChange
from pytest_gpuperf.comparison.findings import Comparison, Finding
from pytest_gpuperf.records.model import Kernel, Profile
from pytest_gpuperf.records.units import KINDS, format_bytes, format_change, format_seconds, many
from pytest_gpuperf.reports.figures import NONE, both, change_in_words, origins, verdict_cell
from pytest_gpuperf.reports.tables import prose, table

PROFILE_HEADER = ("kernel", "count", "time", "share", "inputs")
NOTE = "Times are those of one profiled call, and explain the figures above without being any."
KERNEL_HEADER = ("kernel", "count", "before", "now", "change", "what")
_LEAST = 1e-9  # seconds: less is nothing
_ALL = 0.9  # of the change, and beyond: one call's times know no better


def render_why(case: str, findings: Iterable[Finding], explanation: Explanation, width: int) -> str:
    """What changed, why, the most likely cause first, and every kernel of either side."""
    lines = prose(case, width, hanging="  ")
    lines += [line for finding in findings for line in prose(_verdict(finding), width, "  ", "    ")]
    for number, sentence in enumerate(sentences(explanation), 1):
        lines += prose(sentence, width, f"  {number}. ", "     ")
    if explanation.missing:
        lines += prose(explanation.missing, width, "  ")
    beside = [*context(explanation), *explanation.settings]
    if beside:
        lines += prose("; ".join(beside), width, "  beside it: ", "    ")
    if not explanation.kernels:
        return "\n".join(lines)
    cells = table((explanation.unit, *KERNEL_HEADER[1:]), "lrrrrl", {"": kernel_rows(explanation.kernels)}, width)
    return "\n".join([*lines, "", *cells, "", *prose(NOTE, width)])


def render_profile(case: str, profile: Profile, width: int) -> str:
    """What one call ran."""
    facts = [
        f"{many(profile.launches, profile.unit)}, {format_seconds(max(profile.busy, 1e-9))} in all",
        f"idle {format_seconds(max(profile.idle, 1e-9))}",
        *(f"{format_bytes(amount)} of {kind} parameters" for kind, amount in profile.parameters.items()),
        *(f"{name} {state}" for name, state in profile.settings.items()),
    ]
    cells = table(
        (profile.unit, *PROFILE_HEADER[1:]), "lrrrl", {"": [_row(k, profile) for k in profile.kernels]}, width
    )
    more = profile.unlisted
    rest = [f"and {more} more, each of them shorter"] if more else []
    return "\n".join([*prose(case, width, hanging="  "), *prose("; ".join(facts), width, "  "), "", *cells, *rest])


def _verdict(finding: Finding) -> str:
    (before, now), (then, here) = both(finding), origins(finding)
    moved = f"{before} ({then}) -> {now} ({here})"
    return f"{KINDS[finding.evidence].cost} {verdict_cell(finding)}: {moved}; {change_in_words(finding)}"


def _row(kernel: Kernel, profile: Profile) -> Sequence[str]:
    title = f"{kernel.name} ({kernel.within})" if kernel.within else kernel.name
    share = f"{kernel.seconds / profile.busy:.0%}" if profile.busy else ""
    inputs = ", ".join(kernel.inputs) + (f" {kernel.shape}" if kernel.shape else "")
    return title, str(kernel.count), format_seconds(max(kernel.seconds, 1e-9)), share, inputs


def why(explanation: Explanation) -> str:
    """One line: ``why: 1 copy more: copy_ (contiguous), 80% of the change; launches 52 -> 53; torch unchanged``."""
    first = sentences(explanation)[:1]
    missing = [explanation.missing] if explanation.missing else []
    return f"why: {'; '.join([*first, *(missing if not first else []), *context(explanation)])}"


def why_of(finding: Finding, comparison: Comparison) -> str | None:
    """The line of `why` for a case whose time changed; None where nothing is known, and nothing could be."""
    explanation = comparison.explanations.get(finding.case)
    if explanation is None or finding.evidence != "time":
        return None
    content = explanation.causes or context(explanation) or explanation.missing != NOTHING_KEPT
    return why(explanation) if content else None


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
    if any(cause.kind == "software" for cause in explanation.causes[:1]):  # its sentence names the versions already
        return
    ran = explanation.launches is not None  # else torch may not even be there
    yield from [w for w in explanation.software if w.startswith("torch ")] or (["torch unchanged"] if ran else [])


def _counts(change: KernelChange) -> str:
    before, now = change.count
    return str(now) if before == now else f"{before} -> {now}"


def _ratio(change: KernelChange) -> str:
    before, now = change.seconds
    return format_change(now / before) if before > 0 and now > 0 else NONE
