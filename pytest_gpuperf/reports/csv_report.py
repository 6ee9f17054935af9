"""A run, judged or not, as a CSV file: one line a case, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

from pytest_gpuperf.comparison.findings import Comparison, Finding
from pytest_gpuperf.records.compile_cost import CompileCost
from pytest_gpuperf.records.generation import Generation
from pytest_gpuperf.records.model import Case, Measurement, Run, Session, Witness
from pytest_gpuperf.records.text_load import TextLoad
from pytest_gpuperf.records.units import by_number
from pytest_gpuperf.reports.figures import reason, word
from pytest_gpuperf.reports.tables import visible
from pytest_gpuperf.reports.text_facts import written
from pytest_gpuperf.reports.why import why_of

DIGITS = 6
JOULES_PER_WH = 3600
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠|\t\r]")  # noqa: RUF001 - spreadsheets read the wide forms too


def cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe before what would start one. Numbers stay."""
    text = visible(text)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


@dataclass(frozen=True)
class _Line:
    """One case with everything that its line is made from."""

    case: Case
    run: Run
    session: Session | None
    findings: Mapping[str, Finding]  # by evidence
    comparison: Comparison | None

    @property
    def newest(self) -> Measurement:
        return self.case.measurements[-1]


def render_columns(run: Run, comparison: Comparison | None) -> str:
    """The parameters of the tests, the figures of S1 and S3, the verdicts."""
    lines = list(_lines(run, comparison))
    parameters = list(dict.fromkeys(name for line in lines for name in line.case.parameters))
    witnesses = list(dict.fromkeys(w.name for line in lines for w in _witnesses(line)))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    clashing = {*FIGURES, *VERDICTS, "case", "test"}
    titles = [f"parameter_{name}" if name in clashing else name for name in parameters]
    writer.writerow(
        cell(title) for title in ("case", "test", *titles, *FIGURES, *(f"evidence_{w}" for w in witnesses), *VERDICTS)
    )
    for line in lines:
        evidence = {w.name: w.figure for w in _witnesses(line)}
        texts: Sequence[str] = (
            line.case.id,
            line.case.test,
            *(line.case.parameters.get(name, "") for name in parameters),
            *(read(line) for read in FIGURES.values()),
            *(evidence.get(name, "") for name in witnesses),
            *(read(line) for read in VERDICTS.values()),
        )
        writer.writerow([cell(text) for text in texts])
    return text.getvalue()


def _lines(run: Run, comparison: Comparison | None) -> Iterator[_Line]:
    sessions = {s.id: s for s in run.sessions}
    findings: dict[str, dict[str, Finding]] = {}
    for finding in comparison.findings if comparison else ():
        findings.setdefault(finding.case, {})[finding.evidence] = finding
    for case in sorted(run.cases, key=lambda c: by_number(c.id)):
        session = sessions.get(case.measurements[-1].session)
        yield _Line(case, run, session, findings.get(case.id, {}), comparison)


def _witnesses(line: _Line) -> Sequence[Witness]:
    return line.newest.evidence.witnesses if line.newest.evidence else ()


def number(value: float | None, scale: float = 1.0) -> str:
    """A figure in plain digits; nothing where there is none."""
    return "" if value is None else f"{value * scale:.{DIGITS}g}"


def _middle(line: _Line, read: Callable[[Measurement], float | None], scale: float = 1.0) -> str:
    """The median of what each session measured."""
    known = [value for m in line.case.measurements if (value := read(m)) is not None]
    return number(median(known) if known else None, scale)


def _percentile(p: str) -> Callable[[_Line], str]:
    return lambda line: _middle(line, lambda m: getattr(m.latency, p) if m.latency else None, 1e3)


def _of_text(line: _Line, read: Callable[[Generation | TextLoad], float | None], scale: float = 1.0) -> str:
    return _middle(line, lambda m: None if (found := written(m)) is None else read(found), scale)


def _of_compiling(line: _Line, read: Callable[[CompileCost], int]) -> str:
    cost = line.newest.compile_cost
    return "" if cost is None else str(read(cost))


def _watts(m: Measurement) -> float | None:
    return None if m.energy is None else m.energy * m.throughput


def _of(kind: str, read: Callable[[Finding], str]) -> Callable[[_Line], str]:
    return lambda line: read(line.findings[kind]) if kind in line.findings else ""


def _why(line: _Line) -> str:
    if line.comparison is None or "time" not in line.findings:
        return ""
    return (why_of(line.findings["time"], line.comparison) or "").removeprefix("why: ")


def _word(line: _Line) -> str:
    if "time" in line.findings:
        return word(line.findings["time"])
    return "" if line.comparison is None else "new" if line.case.id in line.comparison.new else "not compared"


FIGURES: Mapping[str, Callable[[_Line], str]] = {
    "device": lambda line: line.run.environment.device.name,
    "measured_at": lambda line: line.session.time if line.session else "",
    "revision": lambda line: (line.session and line.session.revision) or "",
    "sessions": lambda line: str(len(line.case.measurements)),
    "clock": lambda line: line.newest.clock,
    "items": lambda line: str(line.newest.items),
    "latency_ms": lambda line: number(median(s for m in line.case.measurements for s in m.samples), 1e3),
    "latency_mean_ms": lambda line: number(mean(s for m in line.case.measurements for s in m.samples), 1e3),
    "items_per_s": lambda line: _middle(line, lambda m: m.throughput),
    "memory_mb": lambda line: _middle(line, lambda m: m.peak_memory, 1e-6),
    "memory_source": lambda line: line.newest.memory_source or "",
    "single_call_mean_ms": _percentile("mean"),
    "single_call_p50_ms": _percentile("p50"),
    "single_call_p90_ms": _percentile("p90"),
    "single_call_p95_ms": _percentile("p95"),
    "single_call_p99_ms": _percentile("p99"),
    "first_call_ms": lambda line: _middle(line, lambda m: m.first_call, 1e3),
    "compile_s": lambda line: _middle(line, lambda m: m.compile_cost and m.compile_cost.ready_in),
    "compile_cache": lambda line: (line.newest.compile_cost and line.newest.compile_cost.cache) or "",
    "graph_breaks": lambda line: _of_compiling(line, lambda cost: cost.breaks),
    "recompiles": lambda line: _of_compiling(line, lambda cost: cost.recompiles),
    "mean_power_w": lambda line: _middle(line, _watts),
    "joules_per_item": lambda line: _middle(line, lambda m: m.energy),
    "joules_per_item_above_idle": lambda line: _middle(line, lambda m: m.energy_above_idle),
    "wh_per_1000_items": lambda line: _middle(line, lambda m: m.energy, 1000 / JOULES_PER_WH),
    "prompt_tokens": lambda line: _of_text(line, lambda found: found.prompt_tokens),
    "generated_tokens": lambda line: _of_text(line, lambda found: found.generated_tokens),
    "generated_tokens_per_s": lambda line: _of_text(line, lambda found: found.tokens_per_second),
    "total_tokens_per_s": lambda line: _of_text(line, lambda found: found.total_tokens_per_second),
    "ttft_mean_ms": lambda line: _of_text(line, lambda found: found.ttft.mean, 1e3),
    "tpot_mean_ms": lambda line: _of_text(line, lambda found: found.tpot.mean if found.tpot else None, 1e3),
    "bottleneck": lambda line: line.newest.pipeline.bottleneck if line.newest.pipeline else "",
    "pipeline_efficiency": lambda line: _middle(line, lambda m: m.pipeline.efficiency if m.pipeline else None),
    "temperature_c": lambda line: _middle(line, lambda m: m.temperature),
    "sm_clock_mhz": lambda line: _middle(line, lambda m: m.sm_clock),
    "flops_per_s": lambda line: _middle(line, lambda m: m.flops_per_second),
    "state": lambda line: line.newest.state or "",
    "notes": lambda line: "; ".join(line.newest.notes),
    "evidence": lambda line: line.newest.evidence.verdict if line.newest.evidence else "",
}
VERDICTS: Mapping[str, Callable[[_Line], str]] = {
    "verdict": _word,
    "ratio": _of("time", lambda f: number(f.verdict.ratio)),
    "ratio_low": _of("time", lambda f: number(f.verdict.low)),
    "ratio_high": _of("time", lambda f: number(f.verdict.high)),
    "metric": _of("time", lambda f: f.metric),
    "baseline": _of("time", lambda f: number(f.baseline)),
    "current": _of("time", lambda f: number(f.current)),
    "tolerance_percent": _of("time", lambda f: number(f.tolerance, 100)),
    "margin_percent": _of("time", lambda f: number(f.verdict.margin, 100)),
    "basis": _of("time", lambda f: f.verdict.basis),
    "base_revision": _of("time", lambda f: f.turns.base if f.turns else ""),
    "launches": _of("time", lambda f: str(f.turns.launches) if f.turns else ""),
    "memory_verdict": _of("peak_memory", word),
    "memory_ratio": _of("peak_memory", lambda f: number(f.verdict.ratio)),
    "energy_verdict": _of("energy", word),
    "energy_ratio": _of("energy", lambda f: number(f.verdict.ratio)),
    "reason": _of("time", reason),
    "why": _why,
}
