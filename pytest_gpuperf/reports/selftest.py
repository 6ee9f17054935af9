"""The gate's own error rates, as Markdown or JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from pytest_gpuperf.analysis.error_rates import FOUND, Level, Selftest
from pytest_gpuperf.results.units import many

HEADER = "| slow-down | regressed | 95 % interval | inconclusive | unchanged | improved | suites failed |"


LIMITS = (
    "A slow-down is real extra work in the timed region; none is the suite against itself, where every *regressed* is "
    "a false alarm. All sessions were taken within the same hour: the machine's other hours, and other cards, are not "
    "in these figures. All rounds share one baseline and neighbouring rounds confirm each other, so the intervals are "
    "optimistic."
)


def render_markdown(found: Selftest) -> str:
    """A table, the sentence that sums it up, and what it cannot say."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(found.environment.software.items()))
    smallest = found.smallest_seen
    seen = f"{smallest:.0%}" if smallest is not None else "none of those injected"
    sizes = (
        f"{many(len(found.cases), 'case')}, {found.rounds} rounds, {found.baseline_sessions} baseline sessions",
        f"{found.seconds / 60:.0f} minutes",
    )
    lines = [
        f"### gpuperf selftest: {found.environment.device.name}",
        "",
        f"{', '.join(sizes)}.",
        "",
        HEADER,
        "| ---: | ---: | :--- | ---: | ---: | ---: | ---: |",
        *(_line(level) for level in found.levels),
        "",
        f"Smallest slow-down found in at least {FOUND:.0%} of its comparisons: {seen}.",
        "",
        LIMITS,
        "",
        f"Versions: {versions}.",
    ]
    return "\n".join(lines)


def _line(level: Level) -> str:
    def share(count: int) -> str:
        return f"{count / level.comparisons:.0%}"

    low, high = level.interval
    words = level.verdicts
    return (
        f"| {'none' if level.slowdown == 0 else f'{level.slowdown:.0%}'} "
        f"| {words.get('regressed', 0)} of {level.comparisons} | {low:.1%} to {high:.1%} "
        f"| {share(words.get('inconclusive', 0))} | {share(words.get('unchanged', 0))} "
        f"| {share(words.get('improved', 0))} | {level.failed_suites} of {level.suites} |"
    )


def render_json(found: Selftest) -> str:
    """Everything that was found, for programs."""
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


FORMATS: Mapping[str, Callable[[Selftest], str]] = {"markdown": render_markdown, "json": render_json}
