"""What stands above everything else, readable without a script: the verdict in one sentence, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_gpuperf.comparison.findings import Comparison, Finding
from pytest_gpuperf.records.model import Run
from pytest_gpuperf.records.units import format_bytes, many
from pytest_gpuperf.reports.figures import (
    INTERVALS,
    NONE,
    acquitted,
    change_in_words,
    confirmed,
    costs,
    counts,
    moved_since,
    published,
    reason,
    suite_line,
    tells_intervals,
    word,
)
from pytest_gpuperf.reports.html.page import Subject
from pytest_gpuperf.reports.why import sentences

TOO_LITTLE = 7  # exit code: too few cases got a verdict
NAMED = 5  # regressed cases that are spelled out above the table


@dataclass(frozen=True)
class Loss:
    """A regressed figure."""

    case: str
    change: str  # in words
    figures: str
    reason: str
    why: str | None

    @property
    def name(self) -> str:
        """Without the file, where there is one."""
        return self.case.split("::", 1)[-1]

    @property
    def file(self) -> str:
        """Where its test stands."""
        return self.case.removesuffix(self.name).removesuffix("::")


@dataclass(frozen=True)
class Front:
    """The head of the page."""

    state: Literal["failed", "passed", "measured"]
    headline: str
    worst: Loss | None
    others: tuple[Loss, ...]
    more: int  # regressed figures beyond those
    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


def front_of(subject: Subject) -> Front:
    """The verdict first."""
    comparison = subject.comparison
    problems = subject.judged.problems if subject.judged else ()
    failing: list[Finding] = []
    losses: list[Loss] = []
    if comparison is not None:
        failing = sorted((f for f in comparison.findings if _is_loss(f, comparison)), key=lambda f: -f.verdict.ratio)
        losses = [_loss(f, comparison) for f in failing[:NAMED]]
    return Front(
        state="failed" if problems else "passed" if comparison else "measured",
        headline=_headline(subject, failing),
        worst=losses[0] if losses else None,
        others=tuple(losses[1:]),
        more=len(failing) - len(losses),
        problems=problems[1:] if any(f.fails for f in failing) else problems,  # the headline says how many regressed
        remarks=tuple(_remarks(subject)),
        facts=tuple(_facts(subject)),
    )


def _is_loss(f: Finding, comparison: Comparison) -> bool:
    """Whether it fails because it costs more; an inconclusive case is no loss, even where it fails."""
    return f.verdict.word in {"regressed", "environment"} and comparison.is_failure(f)


def _loss(f: Finding, comparison: Comparison) -> Loss:
    return Loss(
        case=f.case,
        change=change_in_words(f),
        figures=" \u2192 ".join(costs(f)),
        reason=reason(f),
        why=_why(f, comparison),
    )


def _why(f: Finding, comparison: Comparison) -> str | None:
    """The likeliest cause; what is known beside it stands with the case."""
    explanation = comparison.explanations.get(f.case)
    known = sentences(explanation) if explanation and f.evidence == "time" else []
    return known[0] if known else None


def _headline(subject: Subject, failing: Sequence[Finding]) -> str:
    comparison = subject.comparison
    if comparison is None:
        why = "no baseline, so nothing was judged" if subject.baseline is None else "nothing was judged"
        return f"{many(len(subject.run.cases), 'case')} measured; {why}"
    total = len(comparison.timed)
    if not total:
        return "Nothing was compared"
    regressed = len({f.case for f in failing if f.fails})
    by_software = len({f.case for f in failing if not f.fails})
    undecided = sum(f.verdict.word == "inconclusive" for f in comparison.timed)
    sentence = f"{regressed or 'None'} of {total} compared cases regressed"
    if total == 1:
        sentence = f"The one compared case {'regressed' if regressed else 'did not regress'}"
    if by_software:
        return f"{sentence}; {by_software} slower with other versions of software"
    if not regressed and comparison.suite is not None and comparison.suite.word == "regressed":
        return f"The suite as a whole regressed; {sentence[0].lower()}{sentence[1:]} by itself"
    if not regressed and subject.judged is not None and subject.judged.problems:
        return f"{sentence}; {_other_reason(comparison)}"
    return f"{sentence}; {undecided} inconclusive, which is not a pass" if undecided and not regressed else sentence


def _other_reason(comparison: Comparison) -> str:
    """Why the run fails otherwise, in a few words; the sentences stand below."""
    if comparison.vanished and not comparison.rules.allow_missing:
        return f"{many(len(comparison.vanished), 'case')} vanished"
    if comparison.unmeasured and not comparison.rules.allow_missing:
        return f"{many(len(comparison.unmeasured), 'case')} not measured"
    if comparison.exit_code == TOO_LITTLE:
        return f"too few verdicts: {comparison.decided} of {len(comparison.timed)}"
    return "it fails for another reason"


def _remarks(subject: Subject) -> Iterator[str]:
    comparison = subject.comparison
    if comparison is not None:
        yield from (f"Changed since the baseline: {what}" for what in comparison.changes)
        if comparison.suite is not None and comparison.suite.word != "regressed":  # else it is among the problems
            yield suite_line(comparison.suite)
        waivers = {f.case: f.waiver for f in comparison.findings if f.waiver}
        yield from (f"Waived until {w.until}: {case} ({w.reason})" for case, w in waivers.items())
        yield from (f"Unchanged: {f.case}: {reason(f)}" for f in acquitted(comparison))
        yield from confirmed(comparison)
        yield from published(comparison)
        yield f"All verdicts: {counts(comparison)}"
        if tells_intervals(comparison):
            yield INTERVALS
    unproven = sum(any(m.unvalidated for m in c.measurements) for c in subject.run.cases)
    if unproven:
        yield f"{many(unproven, 'case')} unvalidated: which device did the work is not proven"
    reference = subject.judged and subject.judged.reference
    if reference is not None:
        yield f"Since the reference {reference.baseline}: {counts(reference)}"
        yield from confirmed(reference)
        moved = moved_since(reference)
        yield from (f"{word(f)} since the reference: {f.case}, {change_in_words(f)}" for f in moved)


def _facts(subject: Subject) -> Iterator[tuple[str, str]]:
    run, comparison = subject.run, subject.comparison
    device = run.environment.device
    yield "device", device.name
    if comparison is not None:
        yield "baseline", comparison.baseline
    if run.sessions:
        yield "measured", _when(run)
    revisions = dict.fromkeys(s.revision for s in run.sessions if s.revision)
    if revisions:
        yield "revision", ", ".join(revisions)
    if device.memory is not None:
        yield "device memory", format_bytes(device.memory)
    if device.power_limit is not None:
        yield "power limit", f"{device.power_limit:g} W"
    yield "timed by", ", ".join(sorted({m.clock for c in run.cases for m in c.measurements})) or NONE
    yield from sorted(run.environment.software.items())


def _when(run: Run) -> str:
    times = sorted(s.time for s in run.sessions)
    first, last = (time.replace("T", " ").replace("Z", " UTC") for time in (times[0], times[-1]))
    return f"{first}, {many(len(times), 'session')}" if first == last else f"{first} to {last}, {len(times)} sessions"
