"""Why a case runs at another speed: two profiles, clocks and environments -> causes, the most likely first. Pure.

A cause is read off what is exact in a profile (which kernels ran, how often, on what types and layouts) before anything
is read off its times, which are those of a single call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pytest_gpuperf.analysis.kernel_changes import KernelChange, kernel_changes
from pytest_gpuperf.results.identity import software_changes
from pytest_gpuperf.results.records import Profile, Record

Kind = Literal[
    "precision",  # wider or narrower types
    "memory format",  # channels_last -> contiguous, or back
    "copy",  # copies that were not there
    "fusion",  # several kernels in place of one
    "repeated",  # the same work, more often
    "shape",  # larger or smaller inputs
    "kernels",  # others appeared, no pattern known
    "setting",  # threads, TF32, cudnn.benchmark, ...
    "one kernel",  # the same kernels, and one takes longer
    "machine",  # the same kernels, each longer by the same factor
    "idle",  # the same kernels, and longer gaps between them
    "software",  # torch, driver, CUDA
    "nothing",  # no difference is seen
]


class Cause(Record, frozen=True, kw_only=True):
    """One thing that differs, and how much of the change it accounts for."""

    kind: Kind
    sentence: str  # plain, with its figures
    seconds: float | None = None  # a call takes so much more because of it; None: it cannot be told


class Explanation(Record, frozen=True, kw_only=True):
    """Why one case regressed or improved. Pairs are (baseline, current)."""

    causes: tuple[Cause, ...] = ()  # the most likely first
    kernels: tuple[KernelChange, ...] = ()  # the largest change of time first, unchanged ones included
    unit: Literal["kernel", "operator"] = "kernel"
    seconds: tuple[float, float] | None = None  # of a timed call
    launches: tuple[int, int] | None = None
    busy: tuple[float, float] | None = None
    idle: tuple[float, float] | None = None
    clock: tuple[float, float] | None = None  # SM, MHz
    software: tuple[str, ...] = ()  # "torch 2.13.0 -> 2.15.0"
    settings: tuple[str, ...] = ()  # "threads 2 -> 1"
    missing: str | None = None  # why kernels cannot be compared, and what to type


@dataclass(frozen=True, kw_only=True)
class Side:
    """What is known of how a case ran: in the baseline, or now."""

    profile: Profile | None
    seconds: float  # of a timed call, the median
    software: Mapping[str, str] = field(default_factory=dict[str, str])
    sm_clock: float | None = None  # MHz, the median
    canaries: Mapping[str, float] = field(default_factory=dict[str, float])  # fixed work -> median seconds


def explain(before: Side, after: Side) -> Explanation:
    """What differs, the most likely cause first."""
    a, b = before.profile, after.profile
    shown = Explanation(
        seconds=(before.seconds, after.seconds),
        clock=None if before.sm_clock is None or after.sm_clock is None else (before.sm_clock, after.sm_clock),
        software=tuple(software_changes(before.software, after.software)),
    )
    if a is None or b is None:
        return shown
    return Explanation(
        kernels=kernel_changes(a, b),
        unit=b.unit,
        seconds=shown.seconds,
        launches=(a.launches, b.launches),
        busy=(a.busy, b.busy),
        idle=(a.idle, b.idle),
        clock=shown.clock,
        software=shown.software,
        settings=tuple(software_changes(a.settings, b.settings)),
    )
