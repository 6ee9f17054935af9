"""A study of serving back ends as a document: what to do, who wins what, where the time goes, and what to doubt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_gpuperf.comparison.serving_winners import BAND, Decision, decisions, figures, of_situation
from pytest_gpuperf.records.latency import PERCENTILE_NEEDS
from pytest_gpuperf.records.served_load import Load
from pytest_gpuperf.records.study import BackendStudy, Visit
from pytest_gpuperf.records.units import format_bytes, format_seconds, many, significant
from pytest_gpuperf.reports.document import DocumentPart, Heading, Sentences, Table, listed
from pytest_gpuperf.reports.figures import NONE
from pytest_gpuperf.reports.load_report import BATCHED, doubts, one_of_each, remarks
from pytest_gpuperf.reports.winners import configuration_table, configured, stopped_early, times, winners_table


def document(studies: Sequence[BackendStudy]) -> list[DocumentPart]:
    """Everything there is to say, the most important first."""
    found = figures(studies)
    decided = decisions(found)
    asked = studies[0].asked
    names = " and ".join(s.backend for s in studies)
    return [
        Heading(f"Serving {asked.workload} ({asked.scale}): {names}", 1),
        Sentences(tuple(_advice(studies, decided))),
        Heading("Who is better at what"),
        winners_table([s.backend for s in studies], found, decided),
        Sentences(tuple(_legend(len(studies[0].rounds)))),
        Heading("Where the time goes"),
        _breakdown(studies),
        Heading("On the wire"),
        _wire(studies),
        *listed("To be doubted", [*stopped_early(len(studies[0].rounds), asked.rounds), *_doubtful(studies)]),
        Heading("Configuration"),
        configuration_table([s.backend for s in studies], [configured(s, "device") for s in studies]),
    ]


def _advice(studies: Sequence[BackendStudy], decided: Sequence[Decision]) -> Iterator[str]:
    network = [s.backend for s in studies if any(load.network_bound for load in _loads(s))]
    if network:
        yield (
            f"This compares networks: to {', '.join(network)} the round trip is more than half of a latency below. "
            f"Run it beside the servers before you choose one of them."
        )
    unproven = [s.backend for s in studies if s.unvalidated]
    if unproven:
        yield f"Unvalidated: which device did the work is not proven for {', '.join(unproven)}."
    yield from _choice(decided)
    for study in studies:
        batched = [load for load in of_situation(study, "concurrent") if load.mean_batch is not None]
        if batched:
            most = max((load.mean_batch or 0.0) / load.batch for load in batched)
            works = "works" if most > BATCHED else "was not seen"
            yield f"Dynamic batching of {study.backend} {works}: at most {significant(most)} requests ran together."
    yield from _protocols(studies)


def _choice(decided: Sequence[Decision]) -> Iterator[str]:
    rates = _as_advised([d for d in decided if d.figure.name == "requests/s"])
    singles = _as_advised([d for d in decided if d.figure.situation == "single" and d.figure.name == "p50"])
    if not rates:
        return
    first = max(rates, key=lambda d: d.figure.middle(d.best))  # where the most is answered
    where = f"{first.figure.situation}, {first.figure.protocol}"
    if first.outcome == "winner":
        yield f"Recommended: {first.best}, with {times(first)} the requests/s of {first.second} ({where})."
    elif first.outcome == "tie":
        yield f"Either of {first.best} and {first.second} will do for throughput: within {BAND:.0%} ({where})."
    else:
        yield (
            f"Not decided for throughput: {first.best} is at {times(first)} of {first.second} ({where}). "
            f"More rounds make the interval narrower: --rounds"
        )
    if singles:
        single = singles[0]
        better = {"winner": f"{single.best} answers first", "tie": "they answer alike"}.get(
            single.outcome, "not decided"
        )
        yield f"One request at a time: {better}, {times(single)} in p50 ({single.figure.protocol})."


def _as_advised(decided: Sequence[Decision]) -> Sequence[Decision]:
    """By the protocol that is advised below, where it was measured."""
    return [d for d in decided if d.figure.protocol == "binary"] or decided


def _protocols(studies: Sequence[BackendStudy]) -> Iterator[str]:
    for study in studies:
        largest = {load.wire.protocol: load for load in sorted(_loads(study), key=lambda one: one.batch)}
        if {"json", "binary"} <= set(largest) and largest["json"].batch == largest["binary"].batch:
            text, binary = largest["json"], largest["binary"]
            yield (
                f"Send binary tensors to {study.backend}: at batch {text.batch} JSON is "
                f"{significant(text.wire.request_bytes / binary.wire.request_bytes)} times the bytes, takes "
                f"{format_seconds(text.wire.serialise)} to write instead of {format_seconds(binary.wire.serialise)}, "
                f"and {significant(text.end_to_end / binary.end_to_end)} times as long from arrays to arrays."
            )


def _legend(rounds: int) -> Iterator[str]:
    needed = ", ".join(f"p{percentile} {count}" for percentile, count in PERCENTILE_NEEDS.items())
    yield (
        f"Medians of {many(rounds, 'round')}; in a round every server is started, loaded and stopped, in changing "
        f"order. The interval (95%) is of the rounds' ratios; how much rounds vary is estimated from all figures "
        f"together."
    )
    yield (
        f"who: a tie where the whole interval lies within {BAND:.0%}, a name where it lies beyond, else not decided. "
        f"Percentiles stand only where enough answers were counted ({needed})."
    )


def _breakdown(studies: Sequence[BackendStudy]) -> Table:
    rows: list[tuple[str, ...]] = []
    for study in studies:
        for visit in study.rounds[-1].visits:
            load, parts = visit.load, visit.load.breakdown
            shown = (
                (NONE,) * 5
                if parts is None
                else tuple(
                    format_seconds(s)
                    for s in (
                        parts.queue,
                        parts.compute_input,
                        parts.compute_infer,
                        parts.compute_output,
                        parts.remainder,
                    )
                )
            )
            trip = NONE if load.round_trip is None else format_seconds(load.round_trip.median)
            batch = NONE if load.mean_batch is None else significant(load.mean_batch)
            name = f"{study.backend}, {_situation(visit)}, {load.wire.protocol}"
            rows.append((name, format_seconds(load.latency.mean), *shown, trip, batch))
    header = (
        "last round",
        "mean latency",
        "queue",
        "input",
        "infer",
        "output",
        "remainder",
        "round trip",
        "mean batch",
    )
    return Table(header, "lrrrrrrrr", tuple(rows))


def _wire(studies: Sequence[BackendStudy]) -> Table:
    rows: list[tuple[str, ...]] = []
    for study in studies:
        for visit in study.rounds[-1].visits:
            load, wire = visit.load, visit.load.wire
            if visit.situation != "concurrent":
                rows.append(
                    (
                        f"{study.backend}, batch {load.batch}, {wire.protocol}",
                        format_bytes(wire.request_bytes),
                        format_bytes(wire.response_bytes),
                        format_seconds(wire.serialise),
                        format_seconds(load.latency.mean),
                        format_seconds(wire.parse),
                        format_seconds(load.end_to_end),
                    )
                )
    header = ("last round", "request", "answer", "serialise", "latency", "parse", "arrays to arrays")
    return Table(header, "lrrrrrr", tuple(rows))


def _doubtful(studies: Sequence[BackendStudy]) -> Iterator[str]:
    for study in studies:
        yield from one_of_each(
            (f"{study.backend}, round {number}, {_situation(visit)}, {visit.load.wire.protocol}", doubt)
            for number, one in enumerate(study.rounds, 1)
            for visit in one.visits
            for doubt in doubts(visit.load)
        )
        short = [r for r in remarks(study.rounds[0].visits[0].load) if r.startswith("no p99")]
        yield from (f"{study.backend}: {reason}" for reason in short)


def _loads(study: BackendStudy) -> list[Load]:
    return [v.load for r in study.rounds for v in r.visits]


def _situation(visit: Visit) -> str:
    load = visit.load
    return {"batch": f"batch {load.batch}", "concurrent": f"concurrency {load.concurrency}"}.get(
        visit.situation, "single"
    )
