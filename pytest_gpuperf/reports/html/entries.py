"""One case of a run, as data for the page's script."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import expm1
from statistics import median

from pytest_gpuperf.causes.explain import Explanation
from pytest_gpuperf.comparison.findings import Finding
from pytest_gpuperf.comparison.ratios import RatioFigures
from pytest_gpuperf.gate.compaction import block_medians
from pytest_gpuperf.records.invocation import Invocation
from pytest_gpuperf.records.model import Accepted, Case, Evidence, Measurement, Profile
from pytest_gpuperf.records.units import METRICS, format_bytes, format_seconds, log_tolerance, significant
from pytest_gpuperf.reports.compile_facts import compile_facts
from pytest_gpuperf.reports.figures import arithmetic, has_interval, origins, reason, word
from pytest_gpuperf.reports.html.content import SCALE, Entry, Judgement, Percentiles, Proof, Ran, Text
from pytest_gpuperf.reports.pipeline_report import pipeline_facts
from pytest_gpuperf.reports.tables import visible
from pytest_gpuperf.reports.text_facts import text_facts
from pytest_gpuperf.reports.why import KERNEL_HEADER, context, kernel_rows, sentences

SHOWN = 12  # kernels of a case that did not change
HEADER = ("kernel", "count", "time")
GRAVEST_FIRST = ("regressed", "environment", "machine", "waived", "inconclusive", "improved", "reference", "unchanged")
DIGITS = 5  # of a figure on the page: nothing is shown with more than four
COMPARED_DIGITS = 9  # of a figure with its change beside it: rounded twice, it would differ from other reports


@dataclass(frozen=True)
class Shared:
    """What all cases of a page share. Each text is kept once: thousands of cases have equal witnesses and kernels."""

    sessions: Mapping[tuple[str, bool], int]  # (id, whether of the baseline) -> its place on the page
    parameters: tuple[str, ...]  # their names, in the order people say them
    baseline: str  # its path
    invocation: Invocation  # of pytest, which commands to copy repeat
    texts: dict[str, Text] = field(default_factory=dict[str, Text])

    def text(self, text: str) -> Text:
        """The place of a text among the page's."""
        return self.texts.setdefault(visible(text), len(self.texts))


def causes(explanation: Explanation | None) -> list[str]:
    """Each cause, or why none is known."""
    if explanation is None:
        return []
    return [*sentences(explanation), *([explanation.missing] if explanation.missing else ())]


def changed_kernels(explanation: Explanation | None, page: Shared) -> Ran | None:
    """Kernel by kernel, beside the baseline."""
    if explanation is None or not explanation.kernels:
        return None
    return Ran(
        unit=explanation.unit,
        context=tuple(map(visible, (*context(explanation), *explanation.settings, *explanation.software))),
        header=(explanation.unit, *KERNEL_HEADER[1:]),
        kernels=tuple((page.text(name), *map(visible, cells)) for name, *cells in kernel_rows(explanation.kernels)),
    )


def profiled(profile: Profile | None, page: Shared) -> Ran | None:
    """What a call ran, where there is nothing to compare it with."""
    if profile is None:
        return None
    return Ran(
        unit=profile.unit,
        context=(f"launches {profile.launches}", f"idle between them {format_seconds(max(profile.idle, 1e-9))}"),
        header=(profile.unit, *HEADER[1:]),
        kernels=tuple(
            (
                page.text(f"{k.name} ({k.within})" if k.within else k.name),
                str(k.count),
                format_seconds(max(k.seconds, 1e-9)),
            )
            for k in profile.kernels[:SHOWN]
        ),
    )


def entry(
    case: Case,
    figures: RatioFigures,
    findings: Sequence[Finding],
    accepted: Accepted | None,
    *,
    explanation: Explanation | None,
    page: Shared,
    new: bool,
) -> Entry:
    """A case with everything that was measured and judged of it."""
    same = [m for m in case.measurements if (m.items, m.clock) == (figures_of_newest(case))]
    series = accepted.series if accepted and (accepted.items, accepted.clock) == figures_of_newest(case) else ()
    middle = median(x for s in series for x in s.medians) if series else figures.time
    newest = case.measurements[-1]
    energies = [m.energy for m in same if m.energy is not None]
    words = {word(f) for f in findings}
    return Entry(
        id=visible(case.id),
        function=page.text(figures.function),
        word=next((w for w in GRAVEST_FIRST if w in words), "new" if new else "measured"),
        items=newest.items,
        clock=page.text(newest.clock),
        time=rounded(figures.time),
        range=_range(same, lambda m: m.device_time.median),
        throughput=rounded(figures.throughput),
        rates=_range(same, lambda m: m.throughput),
        rate_clock=page.text(figures.throughput_clock),
        sessions=len(case.measurements),
        middle=rounded(middle),
        strips=(
            *((page.sessions[s.session, True], *_parts(s.medians, middle)) for s in series),
            *((page.sessions[m.session, False], *_parts(block_medians(m.samples), middle)) for m in same),
        ),
        parameters=tuple(
            page.text(t) if (t := figures.parameters.get(n)) is not None else None for n in page.parameters
        ),
        line=case.line,
        judged=tuple(_judgement(f, case) for f in findings),
        latency=_percentiles(same),
        memory=None if figures.peak_memory is None else rounded(figures.peak_memory),
        energy=rounded(median(energies)) if energies else None,
        facts=tuple((page.text(name), text) for name, text in _facts(newest, figures)),
        notes=tuple(page.text(note) for note in _notes(same, findings)),
        proof=_proof(same, page),
        causes=tuple(map(visible, causes(explanation))),
        ran=changed_kernels(explanation, page) or profiled(case.profile, page),
        accept=_accept(case, page) if words & {"regressed", "environment", "waived"} else None,
    )


def _notes(measured: Sequence[Measurement], findings: Sequence[Finding]) -> Iterable[str]:
    """Each once, in the order they were taken."""
    return dict.fromkeys([n for m in measured for n in m.notes] + [n for f in findings for n in f.notes])


def figures_of_newest(case: Case) -> tuple[int, str]:
    """Figures of another count of items, or another clock, are not the same measurement."""
    newest = case.measurements[-1]
    return newest.items, newest.clock


def rounded(value: float, digits: int = DIGITS) -> float:
    return float(f"{value:.{digits}g}")


def _range(measured: Sequence[Measurement], figure: Callable[[Measurement], float]) -> tuple[float, float]:
    low = min(figure(m) * (1 - min(m.interval, 0.999)) for m in measured)
    high = max(figure(m) * (1 + m.interval) for m in measured)
    return rounded(low), rounded(high)


def _parts(medians: Sequence[float], middle: float) -> tuple[int, ...]:
    return tuple(round((seconds / middle - 1) * SCALE) for seconds in medians)


def _judgement(finding: Finding, case: Case) -> Judgement:
    verdict = finding.verdict
    tolerance = expm1(log_tolerance(finding.metric, finding.tolerance))
    is_interval_known = has_interval(verdict)
    items = case.measurements[-1].items
    before, now = finding.baseline, finding.current
    if METRICS[finding.metric].higher_is_better:
        before, now = (
            (verdict.before, verdict.before * verdict.ratio) if verdict.before else (items / before, items / now)
        )
    waiver = finding.waiver
    return Judgement(
        metric=finding.metric,
        word=word(finding),
        before=rounded(finding.baseline, COMPARED_DIGITS),
        now=rounded(finding.current, COMPARED_DIGITS),
        ratio=rounded(verdict.ratio, COMPARED_DIGITS),
        low=rounded(verdict.low, COMPARED_DIGITS) if is_interval_known else None,
        high=rounded(verdict.high, COMPARED_DIGITS) if is_interval_known else None,
        tolerance=rounded(tolerance),
        margin=None if verdict.margin is None else rounded(verdict.margin),
        costs=(rounded(before, COMPARED_DIGITS), rounded(now, COMPARED_DIGITS)),
        reason=visible(reason(finding)),
        sessions=(finding.baseline_sessions, finding.current_sessions),
        detectable=None if verdict.detectable is None else rounded(verdict.detectable),
        waived=f"until {waiver.until}: {visible(waiver.reason)}" if waiver else None,
        turns=visible(origins(finding)[0]) if finding.turns else None,
    )


def _percentiles(measured: Sequence[Measurement]) -> Percentiles | None:
    """Medians over the sessions; a percentile that no session had calls enough for is left out."""
    every = [calls for m in measured if (calls := m.latency)]
    if not every:
        return None

    def middle(values: Sequence[float | None]) -> float | None:
        known = [v for v in values if v is not None]
        return rounded(median(known)) if known else None

    return Percentiles(
        mean=rounded(median(calls.mean for calls in every)),
        count=sum(calls.count for calls in every),
        p50=middle([calls.p50 for calls in every]),
        p90=middle([calls.p90 for calls in every]),
        p95=middle([calls.p95 for calls in every]),
        p99=middle([calls.p99 for calls in every]),
    )


def _proof(measured: Sequence[Measurement], page: Shared) -> Proof | None:
    """The newest session's evidence, or the first that does not prove it."""
    evidence: list[Evidence] = [m.evidence for m in reversed(measured) if m.evidence is not None]
    if not evidence:
        return None
    shown = next((e for e in evidence if e.verdict != "proven"), evidence[0])
    return Proof(
        verdict=shown.verdict,
        witnesses=tuple((page.text(w.name), page.text(w.rating), visible(w.figure)) for w in shown.witnesses),
        diagnosis=visible(shown.diagnosis) if shown.diagnosis else None,
    )


def _facts(m: Measurement, figures: RatioFigures) -> Iterator[tuple[str, str]]:
    """Of the newest session: what explains a figure, in words."""
    samples, blocks = len(m.samples), len(m.blocks)
    ended = "until its median was known" if m.ended == "steady" else "stopped by its cap"
    yield (
        "sampling",
        f"{samples} spans of {'1 call' if m.span_calls == 1 else f'{m.span_calls} calls'} in {blocks} blocks, {ended}",
    )
    yield "median known to", f"\u00b1{m.interval:.2%}"
    if m.warmup_calls:
        yield "warm-up", f"{m.warmup_calls} calls, {format_seconds(m.warmup_seconds)}"
    if m.first_call is not None:
        yield "first call", format_seconds(m.first_call)
    if m.host_gap is not None:
        yield "host beyond device", f"{significant(m.host_gap * 1e6)} us a call"
    if figures.memory_source:
        yield "memory by", visible(figures.memory_source)
    if m.peak_allocated is not None:
        yield "peak with what was there before", format_bytes(m.peak_allocated)
    if m.energy_above_idle is not None:
        yield "energy above idle", f"{significant(m.energy_above_idle)} J/item"
    rate = arithmetic(m)
    if rate is not None:
        yield "arithmetic", rate
    for name, fact in (*compile_facts(m.compile_cost), *text_facts(m)):
        yield name, visible(fact)
    for name, fact in () if m.pipeline is None else pipeline_facts(m.pipeline):
        yield visible(name), visible(fact)
    yield from _card(m)


def _card(m: Measurement) -> Iterator[tuple[str, str]]:
    """How the card ran meanwhile."""
    if m.sm_clock is not None:
        yield "SM clock", f"{m.sm_clock} MHz"
    if m.temperature is not None:
        yield "temperature", f"{m.temperature} \u00b0C"
    if m.state is not None:
        yield "state", visible(m.state)


def _accept(case: Case, page: Shared) -> str:
    command = ["gpuperf", "calibrate", "--sessions", "5", "--into", page.baseline]
    return visible(shlex.join([*command, "--", *page.invocation.arguments(case.test)]))
