"""What was found about two computations of the same thing."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Distance:
    """How far an output is from the exact one. A row is what belongs to one item of the batch."""

    l2: float  # of the worst row, as a share of that row
    largest: float  # of the worst element, as a share of the largest element
    angle: float  # of the worst row, in radians: what a wrong scale alone does not change


@dataclass(frozen=True, slots=True)
class Parity:
    """A candidate beside its reference in fp32, both measured against the reference in fp64."""

    precision: str
    candidate: Distance
    reference: Distance  # the fp32 computation's own
    rounding: Distance  # what the precision costs this model on these inputs: fp64, rounded as it rounds
    allowed: Distance
    top1: float  # share of the rows whose largest element is the same
    near_ties: int  # rows whose largest element is another, by less than the precision can tell apart
    nonfinite: int  # NaN or infinity where the reference has a number
    output: int  # which of the outputs this is about: the worst
    problems: tuple[str, ...]  # empty where they agree

    @property
    def agrees(self) -> bool:
        """Whether the candidate is right, as far as its precision can be."""
        return not self.problems

    @property
    def cosine(self) -> float:
        """Of the candidate and the exact output, in the worst row."""
        return math.cos(self.candidate.angle)

    @property
    def message(self) -> str:
        """The figures, and what is wrong, in words."""
        if self.agrees:
            head = f"The candidate agrees with its reference, as far as {self.precision} can."
        else:
            head = "The candidate does not compute what its reference computes:"
        return "\n".join([head, *(f"  {problem}" for problem in self.problems), *self._table()])

    def _table(self) -> list[str]:
        names = ("candidate", "fp32 itself", "rounding", "allowed")
        compared = (self.candidate, self.reference, self.rounding, self.allowed)
        ties = f" (and {self.near_ties} near ties)" if self.near_ties else ""
        return [
            "  " + "error against fp64".ljust(20) + "".join(name.rjust(13) for name in names),
            *(
                "  " + what.ljust(20) + "".join(f"{getattr(one, field):13.2e}" for one in compared)
                for what, field in (("worst row, l2", "l2"), ("worst element", "largest"), ("worst angle", "angle"))
            ),
            f"  cosine {self.cosine:.6f}, top-1 the same in {self.top1:.1%} of rows{ties}",
            f"  torch's TF32: {'on for the candidate alone' if self.precision == 'tf32' else 'off for both'}",
        ]
