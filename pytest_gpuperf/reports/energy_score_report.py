"""An energy score as a document: the figure, its parts, what to doubt, and what differs from the official procedure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pytest_gpuperf.comparison.energy_score import JOULES_PER_WH, Amount, Mean, Score, ScoredRun
from pytest_gpuperf.records.grid import Grid
from pytest_gpuperf.records.units import format_bytes, format_seconds, many, significant
from pytest_gpuperf.reports.document import DocumentPart, Heading, Sentences, Table
from pytest_gpuperf.reports.energy_score_csv import emissions
from pytest_gpuperf.reports.figures import NONE

LABEL = "AIEnergyScore-style"
_OFFICIAL_QUERIES, _OFFICIAL_RUNS, _OFFICIAL_TOKENS = 1000, 10, 10
_WH = 1 / JOULES_PER_WH

_Read = Callable[[ScoredRun], Amount]


def summary(score: Score, grid: Grid | None) -> list[DocumentPart]:
    """What a terminal shows."""
    asked = score.head.asked
    doubts = tuple(_doubts(score))
    return [
        Heading(
            f"{LABEL}: {asked.model} ({asked.scale}, {asked.precision}) on {score.head.environment.device.name}", 1
        ),
        Sentences(tuple(_headline(score, grid))),
        Heading("Over all runs"),
        _means(score, grid),
        Heading("By phase"),
        Sentences(tuple(_phases(score))),
        *([Heading("To be doubted"), Sentences(doubts)] if doubts else []),
    ]


def document(score: Score, grid: Grid | None) -> list[DocumentPart]:
    """Everything there is to say, the most important first."""
    return [
        *summary(score, grid),
        Heading("Run by run"),
        _runs(score),
        Heading("What differs from the official AIEnergyScore"),
        Sentences(tuple(_differences(score))),
        Heading("Stage by stage"),
        _stages(score),
        Heading("Configuration"),
        _configuration(score, grid),
    ]


def _headline(score: Score, grid: Grid | None) -> Iterator[str]:
    gross = score.mean(lambda run: run.per_thousand(run.gpu))
    if gross.value is not None:
        above = score.mean(lambda run: run.per_thousand(run.above_idle))
        beyond = (
            f"its part above idle is not known: {above.reason}"
            if above.value is None
            else f"{_interval(above, 'Wh')} of it above what the idle card takes"
        )
        yield f"{_interval(gross, 'Wh')} of GPU energy per 1,000 queries; {beyond}."
        yield f"{_interval(score.mean(lambda run: run.joules_per_token), 'J')} of GPU energy per generated token."
    rate = score.mean(lambda run: Amount(run.tokens_per_second))
    yield f"{_interval(rate, 'generated tokens/s')}, prompt tokens not counted."
    reasons: dict[str | None, list[str]] = {}
    for name, read in _PARTS.items():
        part = score.mean(read)
        if part.value is None and name != "total energy":
            reasons.setdefault(part.reason, []).append(name)
    for reason, names in reasons.items():
        yield f"No {' and no '.join(names)}: {reason}."
    if score.mean(lambda run: run.total).value is None:
        yield "No total energy: a sum without a part would be taken for all of it."
    ram = score.sessions[0].ram_watts
    if ram is not None:
        yield f"RAM energy is not measured: it is {_modelled(ram)}."
    if grid is not None:
        yield f"Emissions: {grid.source}."
    proof = score.sessions[0].evidence
    if proof is not None and proof.verdict == "proven":
        yield f"It is proven that {score.head.environment.device.name} did the work."


_PARTS: dict[str, _Read] = {
    "GPU energy": lambda run: run.gpu.times(_WH),
    "CPU energy": lambda run: run.cpu.times(_WH),
    "RAM energy": lambda run: run.ram.times(_WH),
    "total energy": lambda run: run.total.times(_WH),
}


def _means(score: Score, grid: Grid | None) -> Table:
    figures: dict[str, tuple[_Read, str]] = {
        "GPU energy per 1,000 queries": (lambda run: run.per_thousand(run.gpu), "Wh"),
        "the same above idle": (lambda run: run.per_thousand(run.above_idle), "Wh"),
        "GPU energy per generated token": (lambda run: run.joules_per_token, "J"),
        **{f"{name} of a run": (read, "Wh") for name, read in _PARTS.items()},
        "GPU emissions of a run": (lambda run: emissions(run.gpu, grid), "g"),
        "total emissions of a run": (lambda run: emissions(run.total, grid), "g"),
        "seconds of a run": (lambda run: Amount(run.seconds), "s"),
        "generated tokens/s": (lambda run: Amount(run.tokens_per_second), "/s"),
        "prompt tokens counted too": (lambda run: Amount(run.total_tokens_per_second), "/s"),
        "mean power of the GPU": (lambda run: run.mean_watts, "W"),
        "peak power of the GPU": (lambda run: run.peak_watts, "W"),
    }
    rows: list[tuple[str, str, str]] = []
    for name, (read, unit) in figures.items():
        mean = score.mean(read)
        if mean.value is not None:
            half = NONE if mean.half is None else f"{significant(mean.half)} {unit}"
            rows.append((name, f"{significant(mean.value, 4)} {unit}", half))
    asked = score.head.asked
    what = f"{many(asked.runs, 'run')} of {_many_queries(asked.queries)}"
    return Table((what, "mean", "+- (95%)"), "lrr", tuple(rows))


def _runs(score: Score) -> Table:
    header = (
        "run", "GPU Wh", "CPU Wh", "RAM Wh", "total Wh", "seconds", "tokens/s", "J/token", "mean W", "peak W",
        "sampled watts beside the counter",
    )  # fmt: skip
    rows: list[tuple[str, ...]] = []
    for run in score.runs:
        apart = run.disagreement
        amounts = (*(read(run) for read in _PARTS.values()), Amount(run.seconds), Amount(run.tokens_per_second))
        watts = (run.joules_per_token, run.mean_watts, run.peak_watts)
        shown = (_shown(amount) for amount in (*amounts, *watts))
        rows.append((str(run.number), *shown, NONE if apart is None else f"{apart:+.1%}"))
    return Table(header, "r" * len(header), tuple(rows))


def _phases(score: Score) -> Iterator[str]:
    prefill = score.prefill
    if prefill.joules is None:
        yield f"Prefill: {prefill.note}."
    else:
        above = "" if prefill.above_idle is None else f", {significant(prefill.above_idle)} J of it above idle"
        yield f"Prefill, to the first token: {significant(prefill.joules)} J a query{above} ({prefill.note})."
    decode = score.mean(lambda run: run.decode)
    if decode.value is None:
        yield f"Decode: not measured: {decode.reason}."
    else:
        yield f"Decode, from the first token to the last: {_interval(decode, 'J')} a token, read off within each query."


def _doubts(score: Score) -> Iterator[str]:
    by_kind: dict[str, list[str]] = {}
    for run in score.runs:
        for doubt in run.doubts:
            by_kind.setdefault(doubt.partition(" ")[0], []).append(f"Run {run.number}: {doubt}.")
    for sentences in by_kind.values():
        more = f" (and {many(len(sentences) - 1, 'more run')} so)" if len(sentences) > 1 else ""
        yield sentences[0] + more
    if score.cards > 1:
        yield f"{score.cards} cards of this kind took part: two of one kind may differ by some percent."
    proof = score.sessions[0].evidence
    if proof is not None and proof.verdict != "proven":
        diagnosis = f": {proof.diagnosis}" if proof.diagnosis else ""
        yield f"It is not proven that the device did the work ({proof.verdict}){diagnosis}."


def _differences(score: Score) -> Iterator[str]:
    asked, device = score.head.asked, score.head.environment.device
    yield "This is no official score. Of two tools that measure the same, AIEnergyScore accepts 5 to 10%."
    if asked.prompts == "drawn":
        yield (
            f"Data set: token ids that are drawn, {asked.prompt_tokens} a prompt; officially the texts of "
            f"EnergyStarAI/text_generation, of many lengths (--prompts FILE)."
        )
    else:
        yield f"Data set: the texts of {asked.prompts}; officially EnergyStarAI/text_generation."
    if not asked.pretrained:
        yield "Weights: random, of a seed; officially the model's own. They take as long (--pretrained)."
    if asked.scale != "full":
        yield "Size: a narrow twin of the model, to try this out: its figures say nothing of the model itself."
    if "H100" not in device.name:
        yield f"Hardware: {device.name}; officially an NVIDIA H100 of 80 GB."
    if (asked.queries, asked.runs) != (_OFFICIAL_QUERIES, _OFFICIAL_RUNS):
        yield (
            f"Amount: {many(asked.runs, 'run')} of {_many_queries(asked.queries)}; officially {_OFFICIAL_RUNS} runs of "
            f"{_many_queries(_OFFICIAL_QUERIES)}."
        )
    if asked.max_new_tokens != _OFFICIAL_TOKENS:
        yield f"Answers: {many(asked.max_new_tokens, 'token')} each; officially {_OFFICIAL_TOKENS}."
    if asked.precision != "fp16":
        yield f"Precision: {asked.precision}; officially half precision."
    yield "Sampling: always the likeliest token; officially as the model's own settings have it."
    yield (
        "Phases: the whole query is measured at once, with tokenisation and the gaps between queries; officially "
        "preprocessing, prefill and decode are measured apart and added, and decode is a generation less a prefill."
    )
    yield "Meter: the card's own counter, read after each query; officially codecarbon."
    yield (
        "The same: transformers' generate as back end (the newer official code may take another, without phases), one "
        "query at a time, ten queries of warm-up, loading not counted, the power of the idle card counted."
    )


def _stages(score: Score) -> Table:
    header = ("process", "stage", "time", "tensors", "ours", "others", "mean W", "peak W", "busy")
    rows = tuple(
        (
            str(session),
            stage.name,
            format_seconds(stage.seconds),
            *(NONE if amount is None else format_bytes(amount) for amount in (stage.tensors, stage.ours, stage.others)),
            *(_shown(Amount(watts)) for watts in (stage.watts, stage.peak_watts)),
            NONE if stage.utilization is None else f"{stage.utilization}%",
        )
        for session, stage in score.stages
    )
    return Table(header, "rlrrrrrrr", rows)


def _configuration(score: Score, grid: Grid | None) -> Table:
    first, head = score.sessions[0], score.head
    facts: dict[str, str | None] = {
        "command": first.command,
        "device": head.environment.device.name,
        "GPU meter": first.gpu or first.missing.get("gpu"),
        "CPU meter": first.cpu or first.missing.get("cpu"),
        "RAM": first.missing.get("ram") if first.ram_watts is None else _modelled(first.ram_watts),
        "carbon intensity": None if grid is None else grid.source,
        "processes": str(len(score.sessions)),
        "prompts": head.asked.prompts,
        "prompt tokens": None if head.asked.prompt_tokens is None else str(head.asked.prompt_tokens),
        "new tokens": str(head.asked.max_new_tokens),
        "weights": "trained" if head.asked.pretrained else "random",
        "begun": first.time,
        **dict(sorted(head.environment.software.items())),
    }
    return Table(("", ""), "ll", tuple((name, value) for name, value in facts.items() if value is not None))


def _modelled(watts: float) -> str:
    return f"{significant(watts)} W by codecarbon 3's model, from the amount of memory"


def _interval(mean: Mean, unit: str) -> str:
    """With its interval; only where there is a value."""
    assert mean.value is not None
    half = "" if mean.half is None else f" +- {significant(mean.half)}"
    return f"{significant(mean.value, 4)}{half} {unit}"


def _shown(amount: Amount) -> str:
    return NONE if amount.value is None else significant(amount.value, 4)


def _many_queries(count: int) -> str:
    return "1 query" if count == 1 else f"{count:,} queries"
