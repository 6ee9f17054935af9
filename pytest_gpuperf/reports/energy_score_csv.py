"""An energy score as CSV files: a row a run, a row a query, a row a stage. What is missing is empty, never 0."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from itertools import chain

from pytest_gpuperf.comparison.energy_score import JOULES_PER_WH, Amount, Answered, Score, ScoredRun
from pytest_gpuperf.records.grid import Grid
from pytest_gpuperf.reports.csv_report import cell, number

_WH = 1 / JOULES_PER_WH
NO_GRID = "the carbon intensity of the power is not known: --grid"


def emissions(joules: Amount, grid: Grid | None) -> Amount:
    """Grams of CO2 equivalent."""
    if joules.value is None:
        return joules
    return Amount(None, NO_GRID) if grid is None else Amount(grid.grams(joules.value))


RUN_FIGURES: Mapping[str, Callable[[ScoredRun, Grid | None], Amount]] = {
    "energy_wh": lambda run, _: run.gpu.times(_WH),
    "gpu_energy_wh": lambda run, _: run.gpu.times(_WH),
    "cpu_energy_wh": lambda run, _: run.cpu.times(_WH),
    "ram_energy_wh": lambda run, _: run.ram.times(_WH),
    "total_energy_wh": lambda run, _: run.total.times(_WH),
    "gpu_energy_above_idle_wh": lambda run, _: run.above_idle.times(_WH),
    "gpu_energy_sampled_wh": lambda run, _: run.sampled.times(_WH),
    "seconds": lambda run, _: Amount(run.seconds),
    "queries": lambda run, _: Amount(len(run.answered)),
    "prompt_tokens": lambda run, _: Amount(run.prompt_tokens),
    "generated_tokens": lambda run, _: Amount(run.generated_tokens),
    "tokens_per_second": lambda run, _: Amount(run.tokens_per_second),
    "total_tokens_per_second": lambda run, _: Amount(run.total_tokens_per_second),
    "joules_per_generated_token": lambda run, _: run.joules_per_token,
    "wh_per_1000_queries": lambda run, _: run.per_thousand(run.gpu),
    "wh_per_1000_queries_above_idle": lambda run, _: run.per_thousand(run.above_idle),
    "mean_power_w": lambda run, _: run.mean_watts,
    "peak_power_w": lambda run, _: run.peak_watts,
    "gpu_emissions_g": lambda run, grid: emissions(run.gpu, grid),
    "total_emissions_g": lambda run, grid: emissions(run.total, grid),
}


def _energy(answered: Answered) -> Amount:
    """Of the GPU in this query alone."""
    found = answered.energy("gpu")
    if found.value is None or answered.short is None:
        return found.times(_WH)
    return Amount(None, answered.short)


QUERY_FIGURES: Mapping[str, Callable[[Answered], Amount]] = {
    "run": lambda a: Amount(a.query.run),
    "query": lambda a: Amount(a.query.number),
    "prompt_tokens": lambda a: Amount(a.query.prompt_tokens),
    "generated_tokens": lambda a: Amount(a.query.generated_tokens),
    "seconds": lambda a: Amount(a.query.seconds),
    "latency_ms": lambda a: Amount(a.query.latency * 1e3),
    "ttft_ms": lambda a: Amount(a.query.ttft * 1e3),
    "mean_power_w": lambda a: a.of_gpu(lambda part: part.mean_watts),
    "peak_power_w": lambda a: a.of_gpu(lambda part: part.peak_watts),
    "gpu_energy_wh": _energy,
}
STAGE_COLUMNS = ("session", "stage", "seconds", "tensors_bytes", "our_bytes", "others_bytes")


def runs_csv(score: Score, grid: Grid | None) -> str:
    """A row a run; the last column has the reason of each empty one."""
    return _table(RUN_FIGURES, ({name: read(run, grid) for name, read in RUN_FIGURES.items()} for run in score.runs))


def queries_csv(score: Score) -> str:
    """A row a query."""
    answered = chain.from_iterable(run.answered for run in score.runs)
    return _table(QUERY_FIGURES, ({name: read(a) for name, read in QUERY_FIGURES.items()} for a in answered))


def stages_csv(score: Score) -> str:
    """A row a stage of each process."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*STAGE_COLUMNS, "mean_power_w", "peak_power_w", "utilization_percent"])
    for session, stage in score.stages:
        figures = (stage.tensors, stage.ours, stage.others, stage.watts, stage.peak_watts, stage.utilization)
        writer.writerow([session, stage.name, number(stage.seconds), *map(_whole, figures)])
    return text.getvalue()


def _whole(value: float | None) -> str:
    return str(value) if isinstance(value, int) else number(value)


def _table(columns: Iterable[str], rows: Iterable[Mapping[str, Amount]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, "missing"])
    for row in rows:
        reasons: dict[str, list[str]] = {}
        for name, amount in row.items():
            if amount.value is None:
                reasons.setdefault(amount.reason or "not available", []).append(name)
        missing = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())
        writer.writerow([*(_whole(amount.value) for amount in row.values()), cell(missing)])
    return text.getvalue()
