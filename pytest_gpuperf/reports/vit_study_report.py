"""A study of vision transformers as a document: what was found, the figures, what is missing, what it was made from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from pytest_gpuperf.comparison.vit_findings import COUNTED, vit_of
from pytest_gpuperf.comparison.vit_order import stages_of
from pytest_gpuperf.records.units import (
    by_number,
    format_bytes,
    format_percent,
    format_rate,
    format_seconds,
    many,
    significant,
)
from pytest_gpuperf.records.vit_space import SPACES
from pytest_gpuperf.records.vit_study import CaseFigures, VitStudy
from pytest_gpuperf.reports.document import DocumentPart, Heading, Picture, Pictures, Sentences, Table, listed
from pytest_gpuperf.reports.figures import NONE

QUESTIONS: Mapping[int, str] = {
    1: "Architecture: how hidden width, depth and patch change efficiency",
    2: "Resolution: what more pixels cost",
    3: "Compilation: what torch.compile gains",
    4: "NUMA: what a place near the GPU gains",
    5: "Pipeline: what overlap, queues and preprocessing on the GPU gain",
}
PUBLISHED = {  # of one NVIDIA L40S, whose study does not say how it defines efficiency
    1: "hidden 768 and wider reaches 97-99% efficiency, 384 stays at 85-88%",
    3: "torch.compile makes it 1-2% slower",
    4: "a near place gains 1-2%, and copies reach 21-23 GB/s",
    5: "a queue depth of 2 is often best",
}
_NUMBER = re.compile(r"\d+(\.\d+)?")
_NAMED = 3  # cases that failed for one reason
_HASH = 12  # characters of a hash that are shown; the summary has all of them


def document(study: VitStudy, pictures: Sequence[Picture] = ()) -> list[DocumentPart]:
    """Everything there is to say, the most important first."""
    return [
        *summary(study),
        *([Heading("Charts"), Pictures(tuple(pictures))] if pictures else []),
        Heading("Figures"),
        Sentences(tuple(_legend(study))),
        _table(study),
        *_pipelines(study),
        Heading("Made from"),
        Sentences((f"All files together: {digest(study)}. A file that changes makes this summary stale.",)),
        Table(("file", "sha256"), "ll", tuple((s.file, s.sha256[:_HASH]) for s in study.sources)),
    ]


def summary(study: VitStudy) -> list[DocumentPart]:
    """What was found, question by question."""
    device = study.environment.device
    software = ", ".join(f"{name} {version}" for name, version in sorted(study.environment.software.items()))
    sessions = sum(len(case.sessions) for case in study.cases)
    measured = f"{many(len(study.cases), 'case')}, {many(sessions, 'session')}"
    how = f"{study.precision}, {many(study.batch, 'image')} a call, scale {study.scale}; {measured}."
    parts: list[DocumentPart] = [
        Heading(f"Vision transformers on {device.name}", 1),
        Sentences((how, f"Software: {software}.")),
    ]
    for question, title in QUESTIONS.items():
        sentences = [finding.sentence for finding in study.findings if finding.question == question]
        if sentences:
            parts += [Heading(title), Sentences((*sentences, *_published(question), *_progress(study, question)))]
    if not study.findings:
        are = "is" if len(study.cases) == 1 else "are"
        parts.append(
            Sentences((f"Nothing is held against anything yet: {many(len(study.cases), 'case')} {are} measured.",))
        )
    parts += listed("Not measured, or not to the end", _failures(study))
    return [*parts, *listed("Doubts, and missing figures", _notes(study))]


def digest(study: VitStudy) -> str:
    """One hash of all that it was made from."""
    every = "".join(f"{source.file} {source.sha256}\n" for source in study.sources)
    return sha256(every.encode()).hexdigest()[:_HASH]


def _published(question: int) -> Iterator[str]:
    if question in PUBLISHED:
        yield f"Published of an NVIDIA L40S, and not to be expected of another device: {PUBLISHED[question]}."


def _progress(study: VitStudy, question: int) -> Iterator[str]:
    """How much of the question's cases there is."""
    wanted = {case.test for stage in stages_of([question], SPACES[study.scale]) for case in stage} - set(study.failed)
    measured = wanted & {case.test for case in study.cases}
    if measured != wanted:
        yield f"{len(measured)} of {many(len(wanted), 'case')} are measured. The same command goes on with the others."


def _legend(study: VitStudy) -> Iterator[str]:
    yield (
        "Medians of the sessions, each a fresh process. An interval (95%) is of the ratios of sessions of one round; "
        "how much rounds vary is estimated from all ratios of a question together."
    )
    if study.product is None:
        yield "Efficiency is not known: no session could measure a large matrix product."
    else:
        yield (
            f"Efficiency: operations a second over those of the best large matrix product of this type that any "
            f"session of this study reached, {significant(study.product / 1e12)} TFLOP/s. Operations are those of "
            f"products and convolutions; a multiply-add is two."
        )
    yield (
        "Memory: the peak. Expected: weights, images, and twelve widths of activations a token. Resident memory (RSS) "
        "holds Python and torch too, and is not to be held against what is expected."
    )


def _table(study: VitStudy) -> Table:
    header = (
        *("patch", "depth", "hidden", "resolution", "way", "tokens", "weights", "GFLOP", "a call", "images/s"),
        *("latency p50", "TFLOP/s", "efficiency", "memory", "expected", "energy", "sessions"),
    )
    return Table(header, "rrrrl" + "r" * 12, tuple(_row(study, case) for case in study.cases))


def _row(study: VitStudy, case: CaseFigures) -> tuple[str, ...]:
    efficiency, memory = study.efficiency(case), case.peak_memory
    by_rss = any(s.memory_source not in {None, COUNTED} for s in case.sessions)
    return (
        *map(str, (case.patch, case.depth, case.hidden, case.resolution)),
        case.way,
        str(case.tokens),
        f"{significant(case.parameters / 1e6)} M",
        significant(case.flops / 1e9),
        format_seconds(case.seconds),
        format_rate(case.throughput),
        NONE if case.latency is None else format_seconds(case.latency),
        significant(case.flops_per_second / 1e12),
        NONE if efficiency is None else format_percent(efficiency),
        NONE if memory is None else format_bytes(memory) + (" RSS" if by_rss else ""),
        format_bytes(case.memory_estimate),
        NONE if case.energy is None else f"{significant(case.energy)} J",
        str(len(case.sessions)),
    )


def _pipelines(study: VitStudy) -> list[DocumentPart]:
    """Of each design, how near it comes to its slowest stage."""
    rows = tuple(
        (
            vit_of(case).sizes,
            case.way,
            format_rate(case.throughput),
            format_percent(case.bound_share),
            ", ".join(dict.fromkeys(s.bottleneck for s in case.sessions if s.bottleneck is not None)),
        )
        for case in study.cases
        if case.bound_share is not None
    )
    header = ("model", "design", "images/s", "of its slowest stage's bound", "what limits it")
    return [Heading("Pipelines"), Table(header, "llrrl", rows)] if rows else []


def _failures(study: VitStudy) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for test, why in study.failed.items():
        reasons.setdefault(why, []).append(test.rpartition("::")[2])
    for why, tests in reasons.items():
        more = f", and {len(tests) - _NAMED} more" if len(tests) > _NAMED else ""
        yield f"{', '.join(tests[:_NAMED])}{more}: {why}"
    if reasons:
        yield "They are not tried again, unless that is asked for: --retry"


def _notes(study: VitStudy) -> Iterator[str]:
    """Each kind of note once, with how many sessions have it: they say why a figure is missing, or doubtful."""
    kinds: dict[str, list[str]] = {}
    sessions = [session for case in study.cases for session in case.sessions]
    for note in (note for session in sessions for note in dict.fromkeys(session.notes)):
        kinds.setdefault(_NUMBER.sub("#", note), []).append(note)
    for notes in kinds.values():
        worst = max(notes, key=by_number)
        which = "all" if len(notes) == len(sessions) else f"{len(notes)} of {len(sessions)}"
        yield f"{which} sessions{', the worst' if len(set(notes)) > 1 else ''}: {worst}"
