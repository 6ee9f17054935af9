"""From what was gathered to the comparison that every report is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import msgspec

from pytest_gpuperf.analysis.comparison import Comparison, Finding, Rules
from pytest_gpuperf.analysis.matching import merged, stated
from pytest_gpuperf.analysis.sides import Sides
from pytest_gpuperf.reports.judged import Judged
from pytest_gpuperf.results.records import Measurement, Run, Verdict
from pytest_gpuperf.results.units import METRICS, format_bytes, format_change
from pytest_gpuperf.revisions.gathered import OTHER, SIDES, Gathered, Pair
from pytest_gpuperf.revisions.side import Name

_MEMORY_MOVED = 0.02


def judged(
    gathered: Gathered, labels: Mapping[Name, str], rules: Rules, imported: tuple[str, ...], *, seconds: float
) -> Judged:
    """Everything that was compared, with what was not and why."""
    verdicts = gathered.verdicts()
    pairs = gathered.judged()
    new, vanished, failed, one_sided = _uncompared(gathered, labels)
    comparison = Comparison(
        baseline=labels["base"],
        device=gathered.collected["head"].environment.device,
        findings=tuple(_finding(pairs[name], verdict, gathered) for name, verdict in sorted(verdicts.items())),
        new=new,
        vanished=vanished,
        rules=rules,
        sides=Sides(
            base=labels["base"],
            head=labels["head"],
            launches=gathered.launches,
            seconds=seconds,
            imported=imported,
            apart=gathered.apart,
            failed=failed,
            one_sided=one_sided,
        ),
    )
    run = Run(
        environment=gathered.collected["head"].environment,
        sessions=tuple(gathered.sessions),
        cases=tuple(
            msgspec.structs.replace(pair.head[0], measurements=tuple(c.measurements[0] for c in pair.head))
            for _, pair in sorted(pairs.items())
        ),
    )
    return Judged(run=run, comparison=comparison)


def _uncompared(
    gathered: Gathered, labels: Mapping[Name, str]
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, str], dict[str, str]]:
    """New, vanished, failed on head, and one-sided for another reason."""
    tests = {name: set(gathered.collected[name].tests) for name in SIDES}
    errors = {name: gathered.collected[name].errors for name in SIDES}
    failed = {file: f"head: not collected: {why}" for file, why in errors["head"].items()}
    one_sided = {file: f"base: not collected: {why}" for file, why in errors["base"].items() if file not in failed}
    for test, out in gathered.out.items():
        told = f"{out.side}: {out.why}"
        (failed if out.broken and out.side == "head" else one_sided)[test] = told
    single = gathered.single()
    unexplained = {name: {t for t in tests[name] - tests[OTHER[name]] if not _in(t, errors[OTHER[name]])}
                   for name in SIDES}  # fmt: skip
    new = sorted(unexplained["head"] | {case for case, name in single.items() if name == "head"})
    skipped = {test for test, out in gathered.out.items() if not out.broken and out.side == "head"}
    vanished = sorted(unexplained["base"] | skipped | {case for case, name in single.items() if name == "base"})
    missing = (t for t in gathered.tests if t not in gathered.out and not gathered.orders["head"].get(t))
    one_sided |= {test: "measured nothing" for test in missing if not gathered.orders["base"].get(test)}
    del labels
    return tuple(new), tuple(vanished), failed, one_sided


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
