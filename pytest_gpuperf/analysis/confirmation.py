"""What measuring suspects again brought: how `compare` decides them, beside the fresh sessions that the run holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_gpuperf.analysis.findings import Confirmation
from pytest_gpuperf.analysis.paired import Launch


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """Everything that was learned about suspects, by case."""

    record: Confirmation
    base: Mapping[str, str] = field(default_factory=dict[str, str])  # case -> the revision it took turns with
    launches: Mapping[str, Sequence[Launch]] = field(default_factory=dict[str, Sequence[Launch]])  # ... and what came
    same_code: Mapping[str, str] = field(default_factory=dict[str, str])  # case -> revision: no code differs from it
    software: tuple[str, ...] = ()  # versions that changed since: "torch 2.13.0 -> 2.15.0"
    not_in_turns: Mapping[str, str] = field(default_factory=dict[str, str])  # case -> why turns could not be run
    unconfirmed: Mapping[str, str] = field(default_factory=dict[str, str])  # case -> why nothing could be measured
