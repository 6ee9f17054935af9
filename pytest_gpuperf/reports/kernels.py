"""The kernels of a case, as `gpuperf why` prints them: what ran, or what appeared, vanished, grew and shrank."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_gpuperf.analysis.causes import Explanation
from pytest_gpuperf.analysis.findings import Finding
from pytest_gpuperf.reports.causes import KERNEL_HEADER, context, kernel_rows, sentences
from pytest_gpuperf.reports.figures import COSTS, both, change_in_words, origins, verdict_cell
from pytest_gpuperf.reports.tables import prose, table
from pytest_gpuperf.results.records import Kernel, Profile
from pytest_gpuperf.results.units import format_bytes, format_seconds, many

PROFILE_HEADER = ("kernel", "count", "time", "share", "inputs")
NOTE = "Times are those of one profiled call, and explain the figures above without being any."


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
    return f"{COSTS[finding.evidence]} {verdict_cell(finding)}: {moved}; {change_in_words(finding)}"


def _row(kernel: Kernel, profile: Profile) -> Sequence[str]:
    title = f"{kernel.name} ({kernel.within})" if kernel.within else kernel.name
    share = f"{kernel.seconds / profile.busy:.0%}" if profile.busy else ""
    inputs = ", ".join(kernel.inputs) + (f" {kernel.shape}" if kernel.shape else "")
    return title, str(kernel.count), format_seconds(max(kernel.seconds, 1e-9)), share, inputs
