"""Causes that are exact: which kernels ran, how often, on which types, shapes and memory formats. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import prod

from pytest_gpuperf.causes.kernels import HEAVY, KernelChange, family, type_in
from pytest_gpuperf.causes.profile_pair import Cause, ProfilePair, listed, longer
from pytest_gpuperf.records.model import Kernel
from pytest_gpuperf.records.units import format_bytes, many

_MOST = 0.8  # of the time: what holds for so much of it holds for the call
_PART = 0.25  # of the kernels: a memory format that so many changed is a cause
_IMAGES = (4, 5)  # dimensions of a tensor that has a memory format
_LAST = "channels_last"


def precision(pair: ProfilePair) -> Iterator[Cause]:
    """Wider or narrower types in the kernels that do most of the work, or in the parameters."""
    before, after = _types(pair.a.kernels), _types(pair.b.kernels)
    lost, gained = before - after, after - before
    parameters = _parameters(pair)
    if not (lost and gained) and not parameters:
        return
    phrases: list[str] = []
    if lost and gained:
        (old, _), (new, _) = lost.most_common(1)[0], gained.most_common(1)[0]
        count, total = min(lost[old], gained[new]), sum(after.values())
        phrases.append(f"{new} instead of {old} in {count} of {many(total, 'product')}, convolutions and the like")
    phrases += parameters
    yield Cause(kind="precision", sentence="; ".join(phrases), seconds=pair.b.busy - pair.a.busy)


def shape(pair: ProfilePair) -> Iterator[Cause]:
    """The same kernels on larger or smaller inputs."""
    both = [c for c in pair.changes if all(c.shape) and all(c.count)]
    resized = [c for c in both if elements(c.shape[0]) != elements(c.shape[1])]
    if not resized or sum(max(c.seconds) for c in resized) < 0.5 * sum(max(c.seconds) for c in both):
        return
    first = max(resized, key=lambda c: max(c.seconds))
    word = "larger" if elements(first.shape[1]) > elements(first.shape[0]) else "smaller"
    sentence = f"{word} inputs: {first.shape[0]} -> {first.shape[1]} in {first.title}"
    yield Cause(kind="shape", sentence=sentence, seconds=longer(resized))


def repeated(pair: ProfilePair) -> Iterator[Cause]:
    """The same work, several times."""
    for few, much, verb in ((0, 1, "runs"), (1, 0, "ran")):
        both = [c for c in pair.changes if all(c.count)]
        total = sum(max(c.seconds) for c in pair.changes)
        ratios = Counter[float]()
        for change in both:
            ratios[change.count[much] / change.count[few]] += max(change.seconds)  # type: ignore[assignment]
        if not ratios:
            return
        ratio, share = ratios.most_common(1)[0]
        if ratio >= 2 and ratio == int(ratio) and share >= _MOST * total:
            then = "" if verb == "runs" else " before"
            sentence = f"every kernel {verb} {int(ratio)} times as often{then}: the same work, repeated"
            yield Cause(kind="repeated", sentence=sentence, seconds=pair.b.busy - pair.a.busy)


def memory_format(pair: ProfilePair) -> Iterator[Cause]:
    """channels_last on one side only, and kernels that do nothing but reorder memory."""
    images = [c for c in pair.changes if any(_is_image(s) for s in c.shape)]
    before, after = (_last_share(images, side) for side in (0, 1))
    reorders = [c for c in pair.of("reorder") if c.more_launches]
    if before is not None and after is not None and abs(after - before) >= _PART:
        old, new = (_LAST, "contiguous") if after < before else ("contiguous", _LAST)
        figures = f"{before:.0%} -> {after:.0%} of the kernels on images take {_LAST}"
        sentence = f"{new} instead of {old} memory: {figures}"
        if reorders:
            sentence += f"; reorders: {_signed(reorders)} ({listed(reorders)})"
        yield Cause(
            kind="memory format",
            sentence=sentence,
            seconds=longer([*images, *(c for c in reorders if c not in images)]),
        )
    elif reorders:
        sentence = f"{_signed(reorders)} that only reorder memory: {listed(reorders)}"
        yield Cause(kind="memory format", sentence=sentence, seconds=longer(reorders))


def fusion(pair: ProfilePair) -> Iterator[Cause]:
    """Several kernels in place of one, or one in place of several; steps that were folded into others."""
    appeared = [c for c in pair.changes if c.word == "appeared" and family(c.name) != "reorder"]
    vanished = [c for c in pair.changes if c.word == "vanished" and family(c.name) != "reorder"]
    extra = pair.b.launches - pair.a.launches
    net = longer(appeared) + longer(vanished)
    if _parts(appeared) and vanished and extra > 0:
        sentence = f"a fusion was lost: {listed(appeared)} instead of {listed(vanished)}"
    elif _parts(vanished) and appeared and extra < 0:
        sentence = f"fused: {listed(appeared)} instead of {listed(vanished)}"
    elif appeared and not vanished and _small(appeared):
        sentence = f"steps that were part of other kernels, or not there: {listed(appeared)}"
    elif vanished and not appeared and _small(vanished):
        sentence = f"steps that became part of other kernels, or are gone: {listed(vanished)}"
    else:
        return
    yield Cause(kind="fusion", sentence=sentence, seconds=net)


def copies(pair: ProfilePair) -> Iterator[Cause]:
    """Copies that were not there, or are gone."""
    changes = [c for c in pair.of("copy") if c.more_launches]
    extra = sum(c.more_launches for c in changes)
    if extra:
        same_way = [c for c in changes if (c.more_launches > 0) == (extra > 0)]
        count = many(abs(extra), "copy")
        sentence = f"{count} {'more' if extra > 0 else 'fewer'}: {listed(same_way)}"
        yield Cause(kind="copy", sentence=sentence, seconds=longer(changes))


def others(pair: ProfilePair) -> Iterator[Cause]:
    """Kernels that appeared, vanished or run more or less often, in no pattern that is known."""
    phrases: list[str] = []
    changes: list[KernelChange] = []
    for what, kernels in (
        ("new", [c for c in pair.changes if c.word == "appeared"]),
        ("gone", [c for c in pair.changes if c.word == "vanished"]),
        ("more often", [c for c in pair.changes if all(c.count) and c.more_launches > 0]),
        ("less often", [c for c in pair.changes if all(c.count) and c.more_launches < 0]),
    ):
        if kernels:
            phrases.append(f"{many(len(kernels), pair.b.unit)} {what}: {listed(kernels)}")
            changes += kernels
    if changes:
        yield Cause(kind="kernels", sentence="; ".join(phrases), seconds=longer(changes))


def elements(shape: str | None) -> int:
    """``8x3x224x224`` -> how many numbers that is."""
    return prod(int(size) for size in (shape or "").split("x") if size.isdecimal())


def _types(kernels: Iterable[Kernel]) -> Counter[str]:
    """Type -> calls, of the kernels that do most of the work: the types of the inputs, else the type in the name."""
    calls: Counter[str] = Counter()
    for kernel in kernels:
        if family(kernel.name) not in HEAVY:
            continue
        inputs = Counter[str]()
        for kind, count in kernel.inputs.items():
            inputs[kind.partition(" ")[0]] += count
        name_type = type_in(kernel.name)
        if name_type == "tf32" and set(inputs) <= {"fp32"}:  # tf32 is fp32 in memory: only the kernel's name shows it
            inputs.clear()
        calls += inputs or (Counter({name_type: kernel.count}) if name_type else Counter())
    return calls


def _parameters(pair: ProfilePair) -> list[str]:
    before, after = pair.a.parameters, pair.b.parameters
    if not before or not after or set(before) == set(after):
        return []
    sides = (", ".join(f"{format_bytes(amount)} {kind}" for kind, amount in side.items()) for side in (before, after))
    return [f"parameters {' -> '.join(sides)}"]


def _is_image(shape: str | None) -> bool:
    return shape is not None and shape.count("x") + 1 in _IMAGES


def _last_share(images: Sequence[KernelChange], side: int) -> float | None:
    """How many of the kernels on images take channels_last."""
    inputs = Counter[bool]()
    for change in images:
        for kind, count in change.inputs[side].items():
            inputs[_LAST in kind] += count
    total = inputs.total()
    return inputs[True] / total if total else None


def _signed(changes: Iterable[KernelChange]) -> str:
    extra = sum(c.more_launches for c in changes)
    return f"{many(abs(extra), 'kernel')} {'more' if extra >= 0 else 'fewer'}"


def _parts(changes: Sequence[KernelChange]) -> bool:
    """Whether they could be the parts of one: several launches, and not copies alone."""
    launches = sum(max(c.count) for c in changes)
    return launches >= 2 and any(family(c.name) != "copy" for c in changes)


def _small(changes: Sequence[KernelChange]) -> bool:
    return all(family(c.name) in {"norm", "elementwise", "softmax", "pool"} for c in changes)
