"""A study of vision transformers as CSV: a row a session, with the raw file that it is of. What is missing is empty."""

from __future__ import annotations

import csv
import io

from pytest_gpuperf.records.compile_cost import CompileCost
from pytest_gpuperf.records.vit_study import CaseFigures, SessionFigures, VitStudy
from pytest_gpuperf.reports.csv_report import cell, number

COLUMNS = (
    *("patch", "depth", "hidden", "resolution", "precision", "way", "batch", "tokens", "parameters", "flops"),
    *("session", "clock", "seconds_per_call", "images_per_second", "latency_p50_seconds", "flops_per_second"),
    *("efficiency", "peak_memory_bytes", "memory_source", "expected_memory_bytes", "joules_per_image"),
    *("copied_bytes_per_second", "share_of_slowest_stage", "bottleneck"),
    *("compile_seconds", "compile_cache", "graph_breaks", "recompiles"),
    *("file", "sha256", "notes"),
)


def sessions_csv(study: VitStudy) -> str:
    """Every session of every case."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    hashes = {source.file: source.sha256 for source in study.sources}
    for case in study.cases:
        for session in case.sessions:
            notes = cell("; ".join(session.notes))
            writer.writerow((*_row(study, case, session), cell(session.file), hashes[session.file], notes))
    return text.getvalue()


def _row(study: VitStudy, case: CaseFigures, session: SessionFigures) -> tuple[object, ...]:
    rate = case.flops / session.seconds
    return (
        *(case.patch, case.depth, case.hidden, case.resolution, study.precision, case.way, study.batch),
        *(case.tokens, case.parameters, case.flops, session.number, cell(session.clock)),
        *map(number, (session.seconds, session.throughput, session.latency, rate)),
        number(None if study.product is None else rate / study.product),
        "" if session.peak_memory is None else session.peak_memory,
        session.memory_source or "",
        case.memory_estimate,
        *map(number, (session.energy, session.copied, session.bound_share)),
        cell(session.bottleneck or ""),
        *_compiled(session.compile_cost),
    )


def _compiled(cost: CompileCost | None) -> tuple[object, ...]:
    if cost is None:
        return ("",) * 4
    return number(cost.ready_in), cost.cache or "", cost.breaks, cost.recompiles
