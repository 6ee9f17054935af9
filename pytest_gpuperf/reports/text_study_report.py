"""A study of language models' servers as a document: doubts, what to do, how far each goes, and who wins what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pytest_gpuperf.comparison.scalability import FEWEST, FITS
from pytest_gpuperf.comparison.serving_winners import BAND, decisions
from pytest_gpuperf.comparison.text_winners import (
    GOODPUT,
    LATENCY,
    REQUESTS,
    TOKENS,
    TPOT,
    TTFT,
    TTFT_P50,
    TTFT_P90,
    TTFT_P99,
    Best,
    Measure,
    advised_by,
    behind,
    best,
    decided_at_best,
    figures,
    highest,
    knee,
    law,
    met,
    situation,
)
from pytest_gpuperf.records.latency import PERCENTILE_NEEDS
from pytest_gpuperf.records.text_load import TextLoad
from pytest_gpuperf.records.text_study import ENOUGH, TextPoint, TextStudy
from pytest_gpuperf.records.units import format_percent, format_rate, format_seconds, many, significant
from pytest_gpuperf.reports.document import DocumentPart, Heading, Picture, Pictures, Sentences, Table, listed
from pytest_gpuperf.reports.figures import NONE
from pytest_gpuperf.reports.load_report import one_of_each, text_doubts
from pytest_gpuperf.reports.winners import configuration_table, configured, stopped_early, times, winners_table

_COLUMNS = (REQUESTS, TOKENS, TTFT_P50, TTFT_P90, TTFT_P99, TPOT, LATENCY)
_RESULTS = ("overloaded", "inconclusive")  # of a load beyond what the server does: that is what the study looks for


def document(studies: Sequence[TextStudy], pictures: Sequence[Picture]) -> list[DocumentPart]:
    """Everything there is to say, the most important first."""
    asked, several = studies[0].asked, len(studies) > 1
    found = {s.contender: best(s, advised_by(studies)) for s in studies}
    bests = {name: where for name, where in found.items() if where is not None}
    return [
        Heading(f"Language models' servers by {asked.sweep}: {' and '.join(s.contender for s in studies)}", 1),
        *listed("To be known first", _doubts(studies)),
        Heading("What to do"),
        Sentences(tuple(_advice(studies, bests))),
        *(part for study in studies for part in _server(study)),
        *_charts(pictures),
        *(_compared(studies, bests) if several else []),
        Heading("What the figures mean"),
        Sentences(tuple(_legend(studies))),
        Heading("Configuration"),
        _configuration(studies),
    ]


def _doubts(studies: Sequence[TextStudy]) -> Iterator[str]:
    yield from stopped_early(len(studies[0].rounds), studies[0].asked.rounds)
    for study in studies:
        yield from one_of_each(
            (f"{study.contender}, round {number}", f"incomplete: {reason}")
            for number, one in enumerate(study.rounds, 1)
            for reason in (
                *(f"{situation(study, point.at)}: {point.failed}" for point in one.points if point.failed is not None),
                *((one.failed,) if one.failed is not None else ()),
            )
        )
    unproven = [s.contender for s in studies if s.unvalidated]
    if unproven:
        yield f"unvalidated: which device did the work is not proven for {', '.join(unproven)}"
    for study in studies:
        yield from one_of_each(
            (f"{study.contender}, round {number}, {situation(study, point.at)}", doubt)
            for number, one in enumerate(study.rounds, 1)
            for point in one.points
            for doubt in _of_point(point)
        )


def _of_point(point: TextPoint) -> Iterator[str]:
    load = point.load
    if load is None:
        return
    yield from (d for d in text_doubts(load) if not (point.falls_behind and d.partition(":")[0] in _RESULTS))
    if point.looked_at is not None and point.looked_at < load.requests:
        yield f"limits: {point.looked_at} of {many(load.requests, 'answer')} were held against them, as many as fit"


def _advice(studies: Sequence[TextStudy], bests: Mapping[str, Best]) -> Iterator[str]:
    asked = studies[0].asked
    if not bests:
        what = "met the limits in every round" if asked.slo else "was borne in every round"
        yield f"No recommendation: no {asked.sweep} that was asked for {what}."
    elif len(bests) == 1:
        ((name, one),) = bests.items()
        study = next(s for s in studies if s.contender == name)
        others = f" No other server has a {asked.sweep} that will do in every round." if len(studies) > 1 else ""
        yield f"Recommended: {_where(study, one)}: {_amount(one)}. {_why(one)}{others}"
    else:
        yield from _choice(studies, bests)
    if not asked.slo:
        yield (
            "Goodput, and the highest load that meets limits, are left out. Say what an answer may take, and they are "
            "here: --slo ttft=500ms,tpot=30ms"
        )


def _choice(studies: Sequence[TextStudy], bests: Mapping[str, Best]) -> Iterator[str]:
    decision = decided_at_best(studies, bests)
    assert decision is not None
    by_name = {s.contender: s for s in studies}
    first, second = (_where(by_name[name], bests[name]) for name in (decision.best, decision.second))
    amounts = f"{_amount(bests[decision.best])} against {_amount(bests[decision.second])}"
    if decision.outcome == "winner":
        yield f"Recommended: {first}, with {times(decision)} the {decision.figure.name} of {second}: {amounts}."
    elif decision.outcome == "tie":
        yield f"Either will do, {first} or {second}: their {decision.figure.name} is within {BAND:.0%}, {amounts}."
    else:
        yield (
            f"Not decided: {first} has {times(decision)} the {decision.figure.name} of {second}, {amounts}. More "
            f"rounds make the interval narrower: --rounds"
        )


def _where(study: TextStudy, one: Best) -> str:
    return f"{study.contender} at {situation(study, one.at)}"


def _amount(one: Best) -> str:
    unit = {"goodput": "requests/s within the limits"}.get(one.measure.name, one.measure.name)
    interval = f"[{significant(one.low)}, {significant(one.high)}]" if one.has_interval else "[one round: no interval]"
    return f"{significant(one.value)} {interval} {unit}"


def _why(one: Best) -> str:
    return f"It is the least load that brings as much as any that will do, within {BAND:.0%} of {one.measure.name}."


def _server(study: TextStudy) -> Iterator[DocumentPart]:
    asked = study.asked
    yield Heading(study.contender)
    limits = ("goodput", "limits met") if asked.slo else ()
    header = (asked.sweep, *(m.name for m in _COLUMNS), *limits, "loads")
    yield Table(header, "r" * (len(header) - 1) + "l", tuple(_row(study, at) for at in asked.points))
    reach = (*_of_limits(study), *(_of_rates(study) if asked.sweep == "rate" else _of_law(study)))
    yield Sentences(reach)


def _row(study: TextStudy, at: float) -> tuple[str, ...]:
    shares = [point.met for point in study.visits(at) if point is not None and point.met is not None]
    share = format_percent(min(shares)) if shares else NONE
    limits = (_shown(GOODPUT, study, at), share) if study.asked.slo else ()
    where = format_rate(at) if study.asked.sweep == "rate" else f"{at:g}"
    return (where, *(_shown(measure, study, at) for measure in _COLUMNS), *limits, _verdicts(study, at))


def _shown(measure: Measure, study: TextStudy, at: float) -> str:
    value = measure.middle(study, at)
    if value is None:
        return NONE
    return format_seconds(value) if measure.unit == "s" else significant(value)


def _verdicts(study: TextStudy, at: float) -> str:
    counts = Counter(_verdict(point) for point in study.visits(at))
    return next(iter(counts)) if len(counts) == 1 else ", ".join(f"{count} {name}" for name, count in counts.items())


def _verdict(point: TextPoint | None) -> str:
    if point is None:
        return "no server"
    if point.load is None:
        return "failed"
    return "falls behind" if point.falls_behind else point.load.verdict


def _of_limits(study: TextStudy) -> Iterator[str]:
    asked = study.asked
    if not asked.slo:
        return
    limits = " and ".join(f"{name} {format_seconds(limit)}" for name, limit in asked.slo.items())
    top, rounds = highest(study), len(study.rounds)
    what = f"{ENOUGH:.0%} of requests within {limits}, under a stable load"
    if top is None:
        yield f"No {asked.sweep} met the limits in every round: {what}"
    else:
        yield f"Highest that meets the limits: {situation(study, top)}, in {rounds} of {rounds} rounds ({what})"
        answers = sum(load.requests for load in study.loads(top) if load is not None)
        if answers < PERCENTILE_NEEDS[99]:
            yield (
                f"That is a share of {many(answers, 'answer')}. For {ENOUGH:.0%} to hold beyond them it takes "
                f"{PERCENTILE_NEEDS[99]}: ask for more with --requests"
            )
    sometimes = [(at, met(study, at)) for at in asked.points if 0 < met(study, at) < rounds]
    yield from (f"At {situation(study, at)} it did in {count} of {rounds} rounds" for at, count in sometimes)


def _of_rates(study: TextStudy) -> Iterator[str]:
    found, rounds = knee(study), len(study.rounds)
    if found is None:
        sometimes = [(at, count) for at in study.asked.points if (count := behind(study, at))]
        yield from (f"Fell behind {situation(study, at)} in {count} of {rounds} rounds" for at, count in sometimes)
        if not sometimes:
            yield "Kept up with every rate that was asked for: the knee is beyond them"
        return
    last, first = found
    kept = "Kept up with no lower rate" if last is None else f"Kept up with {format_rate(last)}"
    yield (
        f"{kept}, and falls behind at {format_rate(first)} (in {behind(study, first)} of {rounds} rounds): from there "
        f"on the latency from the schedule grows without end"
    )


def _of_law(study: TextStudy) -> Iterator[str]:
    found = law(study)
    name = "Universal Scalability Law"
    if found is None:
        yield f"{name}: not fitted, since that takes {FEWEST} concurrencies that were measured"
    elif not found.fits:
        yield (
            f"{name}: does not describe these figures, which lie {format_percent(found.residual)} from it (at most "
            f"{FITS:.0%}), so it gives no peak"
        )
    else:
        peak = "no peak as far as was measured" if found.peak is None else f"its peak is at {found.peak:.0f} in flight"
        yield (
            f"{name}: g = {significant(found.g)} requests/s at one in flight, contention a = {significant(found.a)}, "
            f"coherence b = {significant(found.b)}; the figures lie {format_percent(found.residual)} from it; {peak}"
        )


def _charts(pictures: Sequence[Picture]) -> list[DocumentPart]:
    if pictures:
        return [Heading("Charts"), Pictures(tuple(pictures))]
    missing = "They are drawn with matplotlib, which is missing: pip install 'pytest-gpuperf[report]'"
    return [Heading("Charts"), Sentences((missing,))]


def _compared(studies: Sequence[TextStudy], bests: Mapping[str, Best]) -> list[DocumentPart]:
    found, names = figures(studies), [s.contender for s in studies]
    return [
        Heading("Who is better at what"),
        winners_table(names, found, decisions(found)),
        Heading("Side by side"),
        Table(
            ("server", "at", "answers", "generated tokens", "tokens/s", "TTFT mean", "TPOT mean", "latency mean"),
            "llrrrrrr",
            tuple(row for study in studies for row in _side(study, bests.get(study.contender))),
        ),
    ]


def _side(study: TextStudy, one: Best | None) -> Iterator[tuple[str, ...]]:
    """At the least load, and where it does most."""
    for at in dict.fromkeys((study.asked.points[0], *(() if one is None else (one.at,)))):
        loads = [load for load in study.loads(at) if load is not None]
        tokens = [load.generated_tokens for load in loads]
        known = [count for count in tokens if count is not None]
        yield (
            study.contender,
            situation(study, at),
            f"{sum(load.requests for load in loads):,}",
            f"{sum(known):,}" if known and len(known) == len(tokens) else NONE,
            *(_shown(measure, study, at) for measure in (TOKENS, TTFT, TPOT, LATENCY)),
        )


def _legend(studies: Sequence[TextStudy]) -> Iterator[str]:
    asked = studies[0].asked
    needed = ", ".join(f"p{percentile} {count}" for percentile, count in PERCENTILE_NEEDS.items())
    yield (
        f"Medians of {many(len(studies[0].rounds), 'round')}; in a round every server is loaded at every "
        f"{asked.sweep}, in changing order. Percentiles stand only where rounds have enough answers ({needed}; "
        f"--requests 221 is enough for a p99)."
    )
    due = "when a request was due: what waits to be sent has somebody who waits" if asked.sweep == "rate" else "sending"
    yield (
        f"TTFT: until the first text, and latency: until the last, both from {due}. TPOT: (last text - first text) / "
        f"(tokens - 1). Tokens are generated ones, by the server's count."
    )
    if asked.slo:
        yield (
            "Goodput: requests a second that met all limits at once. Limits met: the share of requests that did, in "
            "the worst round; a request that failed did not."
        )
    if len(studies) > 1:
        yield (
            f"The interval (95%) is of the rounds' ratios; how much rounds vary is estimated from all figures "
            f"together. who: a tie where the whole interval lies within {BAND:.0%}, a name where it lies beyond, else "
            f"not decided."
        )
    yield "The streams of the answers are not kept in these files. A run keeps them: gpuperf_text_load, --gpuperf-save"


def _configuration(studies: Sequence[TextStudy]) -> Table:
    models = [{"model": next((load.model for load in _loads(study)), NONE)} for study in studies]
    columns = [model | configured(study, "loaded from") for model, study in zip(models, studies, strict=True)]
    return configuration_table([s.contender for s in studies], columns)


def _loads(study: TextStudy) -> Iterator[TextLoad]:
    return (point.load for one in study.rounds for point in one.points if point.load is not None)
