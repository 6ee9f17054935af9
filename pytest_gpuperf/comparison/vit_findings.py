"""What a study of vision transformers found: ratios with their intervals, a sentence each.

Sessions are paired by their number: those of one round ran one after the other. How much such pairs vary is estimated
from all ratios of the study together, since three sessions tell little of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import exp, inf, isfinite, log
from statistics import fmean

from pytest_gpuperf.comparison.serving_winners import common_spread, half_width
from pytest_gpuperf.records.compile_cost import CompileCost
from pytest_gpuperf.records.units import format_seconds, many, significant
from pytest_gpuperf.records.vit import ViT
from pytest_gpuperf.records.vit_space import BATCH, DESIGNS, EAGER, MODES, Design, Space
from pytest_gpuperf.records.vit_study import CaseFigures, Finding, SessionFigures

NO_DIFFERENCE = "no difference that this could show"
COUNTED = "torch allocator"  # resident memory holds the libraries too: its ratios would say little of a model
Read = Callable[[CaseFigures, SessionFigures], float | None]
SIZES = ("hidden", "depth", "patch")
_MODES = [(mode, EAGER) for mode in MODES if mode != EAGER]
_PLACES = [("local", "remote"), ("interleaved", "local")]
_DESIGNS = [  # overlapping beside one stage after the other; then on the GPU beside the same on the processor
    *((d.name, Design(None, d.preprocess).name) for d in DESIGNS.values() if d.queue is not None),
    *((d.name, Design(d.queue, "cpu").name) for d in DESIGNS.values() if d.preprocess == "gpu"),
]


def efficiency(case: CaseFigures, session: SessionFigures) -> float:
    """In operations a second: what the best matrix product does cancels in a ratio."""
    return case.flops / session.seconds


def throughput(case: CaseFigures, session: SessionFigures) -> float:  # noqa: ARG001 - a `Read`
    """Images a second."""
    return session.throughput


def memory(case: CaseFigures, session: SessionFigures) -> float | None:  # noqa: ARG001 - a `Read`
    """Bytes, where an allocator counts them."""
    return session.peak_memory if session.memory_source == COUNTED else None


@dataclass(frozen=True)
class Effect:
    """One case beside another."""

    of: CaseFigures
    beside: CaseFigures
    ratio: float
    low: float  # its interval: from -infinity to infinity where nothing tells how sessions differ
    high: float
    sessions: int

    @property
    def has_interval(self) -> bool:
        return isfinite(self.high)

    @property
    def is_difference(self) -> bool:
        """Whether its interval does not hold 1."""
        return not self.low <= 1 <= self.high

    @property
    def text(self) -> str:
        """``1.41x [1.38, 1.44]``."""
        interval = f"[{significant(self.low)}, {significant(self.high)}]" if self.has_interval else "[no interval]"
        return f"{significant(self.ratio)}x {interval}"


def findings(cases: Sequence[CaseFigures], space: Space, product: float | None) -> Iterator[Finding]:
    """Everything that the cases say, question by question."""
    by_way = {(vit_of(case), case.way): case for case in cases}
    eager = {vit: case for (vit, way), case in by_way.items() if way == EAGER}
    yield from _of_architecture(eager, space, product)
    yield from _of_resolution(eager, space)
    yield from _of_ways(3, _beside(by_way, _MODES), efficiency, _of_mode)
    yield from _of_ways(4, _beside(by_way, _PLACES), throughput, _of_place)
    yield from _of_ways(5, _beside(by_way, _DESIGNS), throughput, _of_design)


def vit_of(case: CaseFigures) -> ViT:
    """Its sizes."""
    return ViT(case.patch, case.depth, case.hidden, case.resolution)


def effects(pairs: Sequence[tuple[CaseFigures, CaseFigures]], read: Read) -> list[Effect | None]:
    """One a pair; None where the two have no session in common that has the figure."""
    every = [_changes(of, beside, read) for of, beside in pairs]
    common = common_spread(every)
    return [
        _effect(of, beside, changes, common) if changes else None
        for (of, beside), changes in zip(pairs, every, strict=True)
    ]


def _changes(of: CaseFigures, beside: CaseFigures, read: Read) -> list[float]:
    """A log ratio for each number that both have a session of."""
    mine, theirs = ({s.number: read(case, s) for s in case.sessions} for case in (of, beside))
    pairs = ((value, theirs.get(number)) for number, value in mine.items())
    return [log(a / b) for a, b in pairs if a and b]


def _effect(of: CaseFigures, beside: CaseFigures, changes: Sequence[float], common: float) -> Effect:
    middle, half = fmean(changes), half_width(changes, common)
    low, high = (exp(middle - half), exp(middle + half)) if isfinite(half) else (-inf, inf)
    return Effect(of, beside, exp(middle), low, high, len(changes))


def _finding(question: int, effect: Effect, sentence: str) -> Finding:
    return Finding(
        question=question,
        sentence=sentence,
        ratio=effect.ratio,
        low=effect.low if effect.has_interval else None,
        high=effect.high if effect.has_interval else None,
        sessions=effect.sessions,
    )


def _of_architecture(eager: Mapping[ViT, CaseFigures], space: Space, product: float | None) -> Iterator[Finding]:
    """Each size along the line through the centre, beside its smallest; then how far other architectures agree."""
    pairs = [(size, vit, first) for size in SIZES for vit, first in _beside_the_first(eager, space.centre, size)]
    found = effects([(eager[vit], eager[first]) for _, vit, first in pairs], efficiency)
    for (size, vit, first), effect in zip(pairs, found, strict=True):
        if effect is not None:
            elsewhere = _elsewhere(eager, size, vit, first)
            yield _finding(1, effect, _of_size(effect, size, product) + elsewhere)


def _beside_the_first(eager: Mapping[ViT, CaseFigures], centre: ViT, size: str) -> Iterator[tuple[ViT, ViT]]:
    through = sorted((vit for vit in eager if _same_but(vit, centre, size)), key=lambda vit: _level(vit, size))
    yield from ((vit, through[0]) for vit in through[1:])


def _elsewhere(eager: Mapping[ViT, CaseFigures], size: str, vit: ViT, first: ViT) -> str:
    """The same two levels in other architectures at this resolution: the range of their ratios."""
    alike = [one for one in eager if _level(one, size) == _level(vit, size) and one.resolution == vit.resolution]
    pairs = [(one, replace(one, **{size: _level(first, size)})) for one in alike if one != vit]
    rates = {one: case.flops_per_second for one, case in eager.items()}
    ratios = [rates[one] / rates[other] for one, other in pairs if other in rates]
    if not ratios:
        return ""
    if len(ratios) == 1:
        return f" In another architecture: {significant(ratios[0])}x."
    return f" In {len(ratios)} other architectures: {significant(min(ratios))}x to {significant(max(ratios))}x."


def _of_size(effect: Effect, size: str, product: float | None) -> str:
    of, beside = _level(vit_of(effect.of), size), _level(vit_of(effect.beside), size)
    others = ", ".join(f"{s} {_level(vit_of(effect.of), s)}" for s in SIZES if s != size)
    shares = (
        ""
        if product is None
        else f": {effect.of.flops_per_second / product:.1%} of the best matrix product, against "
        f"{effect.beside.flops_per_second / product:.1%}"
    )
    if effect.has_interval and not effect.is_difference:
        return f"{size} {of} beside {size} {beside}: {effect.text} the efficiency, {NO_DIFFERENCE} ({others})."
    return f"{size} {of} reaches {effect.text} the efficiency of {size} {beside}{shares} ({others})."


def _of_resolution(eager: Mapping[ViT, CaseFigures], space: Space) -> Iterator[Finding]:
    """Each step along the resolutions of the centre, and of every other architecture that has two of them."""
    architectures = dict.fromkeys([space.centre, *(replace(vit, resolution=space.centre.resolution) for vit in eager)])
    steps = [
        (eager[larger], eager[smaller])
        for centre in architectures
        for smaller, larger in pairwise(sorted(vit for vit in eager if _same_but(vit, centre, "resolution")))
    ]
    for effect, needed in zip(effects(steps, throughput), effects(steps, memory), strict=True):
        if effect is not None:
            yield _finding(2, effect, _of_step(effect, needed))


def _of_step(effect: Effect, needed: Effect | None) -> str:
    of, beside = effect.of, effect.beside
    more = f", and needs {needed.text} the memory" if needed else ""
    brings = f"brings {effect.text} the throughput"
    if not effect.is_difference and effect.has_interval:
        brings += f", {NO_DIFFERENCE}"
    return (
        f"resolution {of.resolution} beside {beside.resolution} {brings}{more}, with "
        f"{significant(of.tokens / beside.tokens)}x the tokens and {significant(of.flops / beside.flops)}x the "
        f"operations (patch {of.patch}, depth {of.depth}, hidden {of.hidden})."
    )


def _beside(
    by_way: Mapping[tuple[ViT, str], CaseFigures], wanted: Sequence[tuple[str, str]]
) -> list[tuple[CaseFigures, CaseFigures]]:
    """Each way beside its reference, for the same architecture."""
    return [
        (by_way[vit, way], by_way[vit, reference])
        for vit in dict.fromkeys(vit for vit, _ in by_way)
        for way, reference in wanted
        if (vit, way) in by_way and (vit, reference) in by_way
    ]


def _of_ways(
    question: int,
    pairs: Sequence[tuple[CaseFigures, CaseFigures]],
    read: Read,
    say: Callable[[Effect], str],
) -> Iterator[Finding]:
    for effect in effects(pairs, read):
        if effect is not None:
            yield _finding(question, effect, f"{say(effect)} ({vit_of(effect.of).sizes}).")


def _of_mode(effect: Effect) -> str:
    what = f"torch.compile ({MODES[effect.of.way]}) is {effect.text} as fast as none"
    cost = _cost_of(effect.of)
    if not effect.has_interval:
        worth = "more sessions would tell whether it is worth it"
    elif not effect.is_difference:
        worth = NO_DIFFERENCE
    elif effect.ratio < 1:
        worth = "not worth it"
    else:
        pays = None if cost is None else cost.break_even(1 / effect.beside.throughput, 1 / effect.of.throughput)
        worth = "faster, once it is compiled" if pays is None else f"worth it after {pays / BATCH:,.0f} calls"
    return f"{what}: {worth}{'' if cost is None else f'; {_compiling(cost)}'}"


def _cost_of(case: CaseFigures) -> CompileCost | None:
    """Of the session that took longest: the others found its work on the disk."""
    costs = [session.compile_cost for session in case.sessions if session.compile_cost is not None]
    return max(costs, key=lambda cost: cost.ready_in, default=None)


def _compiling(cost: CompileCost) -> str:
    cache = "" if cost.cache is None else f" with a {cost.cache} cache"
    counts = f"{many(cost.breaks, 'graph break')}, {many(cost.recompiles, 'recompile')}"
    return f"compiling took {format_seconds(cost.ready_in)}{cache}, {counts}"


def _of_place(effect: Effect) -> str:
    of, beside = effect.of, effect.beside
    what = f"{of.way} memory and processors bring {effect.text} the throughput of {beside.way} ones"
    if of.copied is not None and beside.copied is not None:
        what += f"; images are copied at {_gigabytes(of.copied)}, against {_gigabytes(beside.copied)}"
    return what + _unless_shown(effect)


def _gigabytes(rate: float) -> str:
    return f"{significant(rate / 1e9)} GB/s"


def _of_design(effect: Effect) -> str:
    of, beside = DESIGNS[effect.of.way], DESIGNS[effect.beside.way]
    limits = Counter(session.bottleneck for session in effect.of.sessions).most_common(1)[0][0]
    if of.preprocess != beside.preprocess:
        what = f"preprocessing on the GPU brings {effect.text} the throughput of that on the CPU ({of.name})"
    else:
        what = f"queues of {of.queue} bring {effect.text} the throughput of one stage after the other ({of.name})"
    return f"{what}, and what limits it is {limits}{_unless_shown(effect)}"


def _unless_shown(effect: Effect) -> str:
    return f": {NO_DIFFERENCE}" if effect.has_interval and not effect.is_difference else ""


def _same_but(vit: ViT, other: ViT, size: str) -> bool:
    """Whether two differ in that size at most."""
    return all(_level(vit, s) == _level(other, s) for s in (*SIZES, "resolution") if s != size)


def _level(vit: ViT, size: str) -> int:
    level: int = getattr(vit, size)
    return level
