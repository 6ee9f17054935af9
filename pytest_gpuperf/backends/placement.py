"""Which processor a back end gave which operators to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Operators that only compute shapes and indices: a GPU back end keeps them on the host, and rightly.
_SHAPES = frozenset(
    (
        *("Shape", "Size", "Gather", "Unsqueeze", "Squeeze", "Concat", "Slice", "Cast", "Range", "Reshape", "Expand"),
        *("Constant", "ConstantOfShape", "Equal", "Where", "Add", "Sub", "Mul", "Div", "Mod", "Min", "Max", "Floor"),
        *("Ceil", "NonZero", "ReduceProd", "ScatterND", "Identity", "Greater", "Less", "And", "Or", "Not"),
    )
)


@dataclass(frozen=True, slots=True)
class Placement:
    """Operators by who runs them: ``{"CUDAExecutionProvider": {"Conv": 53}}``."""

    wanted: str
    operators: Mapping[str, Mapping[str, int]]

    @property
    def elsewhere(self) -> dict[str, int]:
        """Operators that do real work and were given to another than was wanted."""
        found: dict[str, int] = {}
        for who, counts in self.operators.items():
            for operator, count in counts.items():
                if who != self.wanted and operator not in _SHAPES:
                    found[operator] = found.get(operator, 0) + count
        return found

    def __str__(self) -> str:
        parts = [f"{who}: {sum(counts.values())} nodes" for who, counts in self.operators.items()]
        return ", ".join(parts) or "no nodes"
