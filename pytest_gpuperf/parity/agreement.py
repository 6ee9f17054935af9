"""Does a candidate compute what its reference computes? Both are held against the reference in fp64.

    error(candidate) <= m x error(fp32) + k x error(rounded twin) + 1e-6        m = 2, and 3 below fp32

in each of three norms (k = 2, and 3 for a single element); docs/parity.md says where the figures come from.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from pytest_gpuperf.backends.precisions import Precision, arithmetic, precision_of
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.parity.rounding import computed_exactly, computed_rounded

_NOTHING = float(torch.finfo(torch.float32).smallest_normal)  # smaller errors are none in any precision
_SILENT_ROW = 1e-3  # a row this small beside the others is measured by theirs
_TIMES_ROUNDING = 2.0  # another order of sums costs another amount
_TIMES_ROUNDING_OF_ONE = 3.0  # and of one element more so: a norm is a mean over many
_FLOOR = 1e-6  # eight of fp32's steps: an fp32 result may be exact by luck
_TELLS_APART = 6  # two classes whose scores differ by this many of the error allowed to one of them


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


FAR = Distance(math.inf, math.inf, math.pi)


def distance(output: torch.Tensor, exact: torch.Tensor) -> Distance:
    """Both of the same shape, in fp64, finite."""
    mine, true = rows(output), rows(exact)
    errors = (mine - true).norm(dim=1)
    return Distance(
        l2=_largest(errors / sizes(true)),
        largest=_largest((mine - true).abs() / true.abs().max().clamp_min(_NOTHING)),
        angle=_largest(2 * torch.asin(((_turned(mine) - _turned(true)).norm(dim=1) / 2).clamp(max=1))),
    )


def rows(tensor: torch.Tensor) -> torch.Tensor:
    """One for each item of the batch."""
    return tensor.reshape(1, -1) if tensor.ndim < 2 else tensor.flatten(1)


def sizes(true: torch.Tensor) -> torch.Tensor:
    """How large each row is, for errors to be shares of."""
    norms: torch.Tensor = true.norm(dim=1)
    return norms.clamp_min(_SILENT_ROW * float(norms.max())).clamp_min(_NOTHING)


def _turned(true: torch.Tensor) -> torch.Tensor:
    """Rows of length one, or less where next to nothing is left of them: such a direction is noise."""
    return true / sizes(true)[:, None]


def _largest(values: torch.Tensor) -> float:
    return float(values.max())


def compare(
    candidate: Callable[..., Any],
    reference: Callable[..., Any],
    *inputs: torch.Tensor,
    precision: str = "fp32",
    exact: Callable[..., Any] | None = None,
) -> Parity:
    """Run a candidate, its reference in fp32, and that in fp64, on inputs in fp32.

    The candidate gets them in its precision's type. The reference is a module, or a function that computes in the type
    of its inputs; where it cannot compute in fp64, give one that can as `exact`. torch's TF32,
    which is on for convolutions unless a user turns it off, is off for both; for precision tf32 the candidate has it.
    """
    held = precision_of(precision)
    truth = Truth.of(reference, inputs, held, exact)
    fitted = tuple(t.to(held.weights) if t.is_floating_point() else t for t in inputs)
    with torch.no_grad(), arithmetic(held):
        return truth.judge(candidate(*fitted))


@dataclass(frozen=True, slots=True)
class Truth:
    """What is right on some inputs, and how nearly fp32 and a precision can say it."""

    precision: Precision
    exact: list[torch.Tensor]
    reference: list[torch.Tensor]
    twin: list[torch.Tensor]

    @classmethod
    def of(
        cls,
        reference: Callable[..., Any],
        inputs: tuple[torch.Tensor, ...],
        precision: Precision,
        exact: Callable[..., Any] | None = None,
    ) -> Truth:
        """Run the reference in fp32, in fp64, and in fp64 rounded as the precision rounds."""
        wide = reference if exact is None else exact
        try:
            truth = outputs_of(computed_exactly(wide, inputs))
            twin = outputs_of(computed_rounded(wide, inputs, precision))
        except RuntimeError as error:
            raise UsageError(
                f"The reference could not be run in fp64 ({error}). Without that nothing says which of two different "
                f"results is wrong. Give a torch.nn.Module, or a function that can be: parity(..., exact=FUNCTION)"
            ) from error
        with torch.no_grad(), arithmetic(precision_of("fp32")):
            return cls(precision, truth, outputs_of(reference(*inputs)), twin)

    @property
    def representable(self) -> bool:
        """Whether the precision's range holds all of it: what overflows when rounded must overflow."""
        return all(bool(t.isfinite().all()) for t in [*self.exact, *self.reference, *self.twin])

    def judge(self, result: Any) -> Parity:
        """The worst of a candidate's outputs."""
        outputs = outputs_of(result)
        if [t.shape for t in outputs] != [t.shape for t in self.exact]:
            shapes = ", ".join(str(tuple(t.shape)) for t in outputs)
            wanted = ", ".join(str(tuple(t.shape)) for t in self.exact)
            return _wrong(self.precision, f"its outputs have other shapes: {shapes or 'none'} instead of {wanted}")
        found = [self._judge(number, output) for number, output in enumerate(outputs)]
        return max(found, key=lambda parity: (not parity.agrees, parity.candidate.l2 / parity.allowed.l2))

    def _judge(self, number: int, output: torch.Tensor) -> Parity:
        sound = self.exact[number].isfinite() & self.reference[number].isfinite()
        lost = sound & ~output.isfinite()
        overflown = int((lost & ~self.twin[number].isfinite()).sum())
        sound &= output.isfinite() & self.twin[number].isfinite()
        exact, mine, fp32, twin = (
            t.where(sound, 0) for t in (self.exact[number], output, self.reference[number], self.twin[number])
        )
        candidate, reference, rounding = (distance(t, exact) for t in (mine, fp32, twin))
        allowed = _allowed(self.precision, reference, rounding)
        top1, near_ties, missed = _largest_elements(mine, exact, allowed.l2)
        problems = [
            f"{what}: an error of {error:.2e}, {error / limit:.3g} times what is allowed"
            for what, error, limit in (
                ("worst row, l2", candidate.l2, allowed.l2),
                ("worst element", candidate.largest, allowed.largest),
                ("worst angle", candidate.angle, allowed.angle),
            )
            if error > limit
        ]
        if missed:
            problems.append(f"top-1: another class in {missed} of {len(rows(exact))} rows, and not by a near tie")
        if nonfinite := int(lost.sum()):
            problems.append(_nonfinite(nonfinite, overflown, lost.numel(), self.precision.name))
        return Parity(
            precision=self.precision.name,
            candidate=candidate,
            reference=reference,
            rounding=rounding,
            allowed=allowed,
            top1=top1,
            near_ties=near_ties,
            nonfinite=nonfinite,
            output=number,
            problems=tuple(problems if len(self.exact) == 1 else (f"output {number}: {p}" for p in problems)),
        )


def outputs_of(result: Any) -> list[torch.Tensor]:
    """The tensors of a result, in fp64, on the processor; a copy: a back end may overwrite what it returned."""
    return [leaf.detach().double().cpu().clone() for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]


def _allowed(precision: Precision, reference: Distance, rounding: Distance) -> Distance:
    times = 2.0 if precision.computes_in == torch.float32 else 3.0

    return Distance(
        l2=times * reference.l2 + _TIMES_ROUNDING * rounding.l2 + _FLOOR,
        largest=times * reference.largest + _TIMES_ROUNDING_OF_ONE * rounding.largest + _FLOOR,
        angle=times * reference.angle + _TIMES_ROUNDING * rounding.angle + _FLOOR,
    )


def _largest_elements(mine: torch.Tensor, exact: torch.Tensor, allowed: float) -> tuple[float, int, int]:
    """The share of rows whose largest element is the same, and how many others are near ties, and are not."""
    classes = exact.shape[-1] if exact.ndim else 1
    mine, exact = mine.reshape(-1, classes), exact.reshape(-1, classes)
    choices = mine.argmax(1, keepdim=True)
    short = (exact.max(1, keepdim=True).values - exact.gather(1, choices)).squeeze(1)
    one = allowed * sizes(exact) / classes**0.5  # the error allowed to one element, as a root mean square
    missed = int((short > _TELLS_APART * one).sum())
    same = int((short == 0).sum())
    return same / len(exact), len(exact) - same - missed, missed


def _nonfinite(count: int, overflown: int, of: int, precision: str) -> str:
    text = f"NaN or infinity in {count} of {of} elements, where fp32 has numbers"
    if overflown:
        text += f"; {overflown} of them are beyond what {precision} can hold: scale the inputs, or take bf16 or fp32"
    return text


def _wrong(precision: Precision, problem: str) -> Parity:
    return Parity(
        precision=precision.name,
        candidate=FAR,
        reference=FAR,
        rounding=FAR,
        allowed=FAR,
        top1=0.0,
        near_ties=0,
        nonfinite=0,
        output=0,
        problems=(problem,),
    )
