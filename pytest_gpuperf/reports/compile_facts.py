"""What compiling a case took, in words, and after how many calls it has paid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import ceil
from statistics import median

from pytest_gpuperf.records.compile_cost import CompileCost
from pytest_gpuperf.records.model import Case
from pytest_gpuperf.records.units import format_seconds, many

_EAGER = "eager"  # the back end of that name, and the parameter that names one
_BACKEND = "backend"


def compile_facts(cost: CompileCost | None) -> Iterator[tuple[str, str]]:
    """A fact a line, as a name and what it is."""
    if cost is None:
        return
    cache = f", cache {cost.cache}" if cost.cache else ""
    yield "ready to run in", f"{format_seconds(cost.ready_in)}{cache}"
    if cost.in_compiler:
        yield "of that in the compiler", format_seconds(cost.in_compiler)
    breaks = f", {many(cost.breaks, 'break')}{_why(cost.graph_breaks)}" if cost.breaks else ""
    yield "compiled as", f"{many(cost.graphs, 'graph')}{breaks}"
    if cost.recompiles:
        yield "compiled again", f"{many(cost.recompiles, 'time')}{_why(cost.recompiled_for)}"
    if cost.gave_up:
        yield "runs eagerly in part", "; ".join(cost.gave_up)


def compile_lines(cases: Iterable[Case]) -> Iterator[str]:
    """A line for each case that was compiled, with the calls after which it has paid beside eager."""
    found = list(cases)
    eager = {_key(case): case for case in found if case.parameters.get(_BACKEND) == _EAGER}
    for case in found:
        cost = case.measurements[-1].compile_cost
        if cost is None:
            continue
        facts = ", ".join(f"{name} {fact}" for name, fact in compile_facts(cost))
        before = eager.get(_key(case))
        yield f"compiled: {case.id}: {facts}{'' if before is None else _paid(cost, before, case)}"


def _paid(cost: CompileCost, eager_case: Case, compiled_case: Case) -> str:
    eager, compiled = _seconds(eager_case), _seconds(compiled_case)
    both = f"a call takes {format_seconds(compiled)}, eager {format_seconds(eager)}"
    noise = sum(_seconds(case) * case.measurements[-1].interval for case in (eager_case, compiled_case))
    if abs(eager - compiled) <= noise:
        return f"; whether it pays is not known, the two are too close: {both}"
    calls = cost.break_even(eager, compiled)
    if calls is None:
        return f"; never pays: {both}"
    return f"; pays after about {ceil(float(f'{calls:.3g}')):,} calls: {both}"


def _why(reasons: Mapping[str, int]) -> str:
    return f" ({'; '.join(reasons)})" if reasons else ""


def _seconds(case: Case) -> float:
    """By the host's clock where there is one beside the device's: what a caller waits."""
    newest = case.measurements[-1]
    return median(newest.walls or newest.samples)


def _key(case: Case) -> tuple[str, frozenset[tuple[str, str]]]:
    """What a case and its eager fellow have in common: the test function, and every parameter but the back end."""
    others = {name: text for name, text in case.parameters.items() if name != _BACKEND}
    return case.test.partition("[")[0], frozenset(others.items())
