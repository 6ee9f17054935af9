"""In which order a study of vision transformers measures: what tells most comes first, and what the budget allows.

A question is answered in stages. The first goes from the centre along one size at a time, and answers it for the
centre. The next, the corners, shows whether that holds at the edges. The last is the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product, zip_longest

from pytest_gpuperf.records.vit import ViT
from pytest_gpuperf.records.vit_space import DESIGNS, MODES, PLACES, Space, VitCase

SESSIONS = 3  # fresh processes of each case: an interval needs more than one, and two tell little of how they differ
Stage = tuple[VitCase, ...]


def stages_of(questions: Sequence[int], space: Space) -> list[Stage]:
    """The stages of several questions, all first ones before all second ones. A case stands in its first stage only."""
    by_question = [_STAGES[question](space) for question in questions]
    together = [
        [case for stage in stages for case in stage] for stages in zip_longest(*by_question, fillvalue=tuple[VitCase]())
    ]
    taken: set[VitCase] = set()
    found: list[Stage] = []
    for cases in together:
        found.append(tuple(dict.fromkeys(case for case in cases if case not in taken)))
        taken.update(cases)
    return [stage for stage in found if stage]


def every_case(space: Space) -> list[VitCase]:
    """All that a study can measure: what the suite's test runs over."""
    return [case for stage in stages_of(list(_STAGES), space) for case in stage]


def lines(space: Space, *, resolution: bool) -> Iterator[ViT]:
    """The centre, and what differs from it in one size."""
    centre = space.centre
    yield centre
    yield from (replace(centre, hidden=width) for width in space.widths if width != centre.hidden)
    yield from (replace(centre, depth=depth) for depth in space.depths if depth != centre.depth)
    yield from (replace(centre, patch=patch) for patch in space.patches if patch != centre.patch)
    if resolution:
        yield from line_of_resolutions(space, centre)


def line_of_resolutions(space: Space, vit: ViT) -> Iterator[ViT]:
    """The same architecture at every other resolution."""
    yield from (replace(vit, resolution=r) for r in space.resolutions if r != vit.resolution)


def corners(space: Space) -> Iterator[ViT]:
    """The architectures whose sizes are all the smallest or the largest, at the centre's resolution."""
    patches, depths, widths = (sorted({min(s), max(s)}) for s in (space.patches, space.depths, space.widths))
    for patch, depth, width in product(patches, depths, widths):
        yield ViT(patch, depth, width, space.centre.resolution)


def _of_architecture(space: Space) -> list[Stage]:
    rest = (vit for vit in space.every() if vit.resolution == space.centre.resolution)
    return [_eager(lines(space, resolution=False)), _eager(corners(space)), _eager(rest)]


def _of_resolution(space: Space) -> list[Stage]:
    edges = (vit for corner in corners(space) for vit in (corner, *line_of_resolutions(space, corner)))
    return [
        _eager((space.centre, *line_of_resolutions(space, space.centre))),
        _eager(edges),
        _eager(space.every()),
    ]


def _of_compilation(space: Space) -> list[Stage]:
    """A compiler saves launches of small calls, and little of large ones: the ends tell most after the centre."""
    widths = (replace(space.centre, hidden=width) for width in (min(space.widths), max(space.widths)))
    edges = (*_ends_of_resolution(space), *widths)
    return [_in_ways([space.centre], MODES), _in_ways(edges, MODES), _in_ways(lines(space, resolution=True), MODES)]


def _of_place(space: Space) -> list[Stage]:
    return [_in_ways([space.centre], PLACES), _in_ways(_ends_of_resolution(space), PLACES)]


def _of_pipeline(space: Space) -> list[Stage]:
    return [_in_ways([space.centre], DESIGNS), _in_ways(_ends_of_resolution(space), DESIGNS)]


def _ends_of_resolution(space: Space) -> tuple[ViT, ViT]:
    """The centre's architecture on the smallest images and on the largest."""
    smallest, largest = min(space.resolutions), max(space.resolutions)
    return replace(space.centre, resolution=smallest), replace(space.centre, resolution=largest)


_STAGES: Mapping[int, Callable[[Space], list[Stage]]] = {
    1: _of_architecture,
    2: _of_resolution,
    3: _of_compilation,
    4: _of_place,
    5: _of_pipeline,
}
QUESTIONS = tuple(_STAGES)


def _eager(vits: Iterable[ViT]) -> Stage:
    return tuple(VitCase(vit) for vit in vits)


def _in_ways(vits: Iterable[ViT], ways: Iterable[str]) -> Stage:
    return tuple(VitCase(vit, way) for vit, way in product(vits, ways))


@dataclass(frozen=True)
class Choice:
    """What is measured next, and what is to come of it."""

    case: VitCase
    seconds: float  # it is expected to take
    sessions_left: int  # that the budget allows, with this one
    seconds_left: float  # they are expected to take


def choose(
    stages: Sequence[Stage],
    done: Mapping[VitCase, int],
    estimate: Callable[[VitCase], float],
    budget: float,
    sessions: int = SESSIONS,
) -> Choice | None:
    """The next session, or None where none fits: stage by stage, a round over all cases before the next round.

    A case is begun only where all its sessions fit, so that it gets an interval. Where that leaves time over, cases of
    the stage are begun that do with fewer, before the next stage gets any.
    """
    left = budget
    planned: list[tuple[VitCase, int, float]] = []  # a case, how many more sessions, seconds of each
    for stage, wanted in product(stages, range(sessions, 0, -1)):
        taken = {case for case, _, _ in planned}
        for case in (case for case in stage if case not in taken):
            seconds, missing = estimate(case), wanted - done.get(case, 0)
            if missing > 0 and missing * seconds <= left:
                planned.append((case, missing, seconds))
                left -= missing * seconds
    if not planned:
        return None
    of_stage = {case: number for number, stage in enumerate(stages) for case in stage}
    case, _, seconds = min(planned, key=lambda p: (of_stage[p[0]], done.get(p[0], 0)))
    count = sum(more for _, more, _ in planned)
    return Choice(case, seconds, count, sum(more * each for _, more, each in planned))
