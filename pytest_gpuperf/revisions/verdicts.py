"""From what was gathered to the comparison that every report is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import msgspec

from pytest_gpuperf.analysis.findings import Comparison, Finding, Rules
from pytest_gpuperf.analysis.matching import merged, stated
from pytest_gpuperf.analysis.sides import Sides
from pytest_gpuperf.reports.judged import Judged
from pytest_gpuperf.results.invocation import Invocation
from pytest_gpuperf.results.records import Measurement, Run, Verdict
from pytest_gpuperf.results.units import METRICS, format_bytes, format_change
from pytest_gpuperf.revisions.gathered import OTHER, SIDES, Gathered, Pair
from pytest_gpuperf.revisions.side import Name

_MEMORY_MOVED = 0.02


def judged(
    gathered: Gathered,
    labels: Mapping[Name, str],
    rules: Rules,
    imported: tuple[str, ...],
    *,
    seconds: float,
    options: tuple[str, ...] = (),
    invocation: Invocation | None = None,
) -> Judged:
    """Everything that was compared, with what was not and why."""
    verdicts = gathered.verdicts()
    pairs = gathered.judged()
    told = _uncompared(gathered)
    comparison = Comparison(
        baseline=labels["base"],
        device=gathered.collected["head"].environment.device,
        findings=tuple(_finding(pairs[name], verdict, gathered) for name, verdict in sorted(verdicts.items())),
        new=told.new,
        vanished=told.vanished,
        rules=rules,
        invocation=invocation or Invocation(),
        sides=Sides(
            base=labels["base"],
            head=labels["head"],
            options=options,
            launches=gathered.launches,
            seconds=seconds,
            imported=imported,
            apart=gathered.apart,
            failed=told.failed,
            skipped=told.skipped,
            one_sided=told.one_sided,
        ),
    )
    run = Run(
        environment=gathered.collected["head"].environment,
        sessions=tuple(gathered.sessions),
        cases=tuple(
            msgspec.structs.replace(pair.head[0], measurements=_quiet([c.measurements[0] for c in pair.head]))
            for _, pair in sorted(pairs.items())
        ),
    )
    return Judged(run=run, comparison=comparison)


@dataclass(frozen=True)
class _Uncompared:
    """What was not compared, by what that means."""

    new: tuple[str, ...]
    vanished: tuple[str, ...]
    failed: dict[str, str]
    skipped: dict[str, str]
    one_sided: dict[str, str]


def _uncompared(gathered: Gathered) -> _Uncompared:
    tests = {name: set(side.tests) for name, side in gathered.collected.items()}
    errors = {name: side.errors for name, side in gathered.collected.items()}
    failed = {file: f"head: not collected: {why}" for file, why in errors["head"].items()}
    one_sided = {file: f"base: not collected: {why}" for file, why in errors["base"].items() if file not in failed}
    skipped: dict[str, str] = {}
    for test, out in gathered.out.items():
        if out.side == "base":
            one_sided[test] = f"base: {out.why}"
        elif out.broken:
            failed[test] = f"head: {out.why}"
        else:
            skipped[test] = f"head: {out.why}"
    single = gathered.single()
    gone = {
        name: {test for test in tests[name] - tests[OTHER[name]] if not _in(test, errors[OTHER[name]])}
        for name in SIDES
    }
    measured = {pair.head[0].test for pair in gathered.pairs.values()} | {case.partition("#")[0] for case in single}
    one_sided |= {
        test: "nothing was measured on both sides"
        for test in gathered.tests
        if test not in gathered.out and test not in measured
    }
    return _Uncompared(
        new=tuple(sorted(gone["head"] | {case for case, name in single.items() if name == "head"})),
        vanished=tuple(
            sorted(
                gone["base"]
                | (skipped.keys() - gathered.skipped_by_both)
                | {c for c, n in single.items() if n == "base"}
            )
        ),
        failed=failed,
        skipped=skipped,
        one_sided=one_sided,
    )


def _in(test: str, files: Mapping[str, str]) -> bool:
    return any(test.startswith(f"{file}::") for file in files)


def _finding(pair: Pair, verdict: Verdict, gathered: Gathered) -> Finding:
    case = pair.head[0]
    metric, tolerance = stated(merged(case.rule, gathered.override), "time")
    base, head = ([c.measurements[0] for c in side] for side in (pair.base, pair.head))
    return Finding(
        case=case.id,
        test=case.test,
        line=case.line,
        evidence="time",
        metric=metric,
        baseline=_figure(metric, base),
        current=_figure(metric, head),
        tolerance=tolerance,
        baseline_sessions=len(base),
        current_sessions=len(head),
        verdict=verdict,
        notes=(*head[-1].notes, *_memory_note(base, head)),
    )


def _quiet(measured: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """Only the last launch's notes: each process says the same again, in figures of its own."""
    return (*(msgspec.structs.replace(m, notes=()) for m in measured[:-1]), measured[-1])


def _figure(metric: str, measured: Sequence[Measurement]) -> float:
    seconds = median(m.device_time.median for m in measured)
    return measured[0].items / seconds if METRICS[metric].higher_is_better else seconds


def _memory_note(base: Sequence[Measurement], head: Sequence[Measurement]) -> tuple[str, ...]:
    """Peak memory is not judged here; a change of it is told. The processor's wanders by itself."""
    before = [m.peak_memory for m in base if m.peak_memory and m.memory_source != "RSS"]
    after = [m.peak_memory for m in head if m.peak_memory and m.memory_source != "RSS"]
    if not before or not after or abs(median(after) / median(before) - 1) < _MEMORY_MOVED:
        return ()
    moved = format_change(median(after) / median(before))
    return (f"peak memory {format_bytes(median(after))}, {format_bytes(median(before))} in the base ({moved})",)
