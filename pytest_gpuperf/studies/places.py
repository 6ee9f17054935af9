"""Processes near a GPU and far from it: where one is to be started, and whether this one was."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from pytest_gpuperf.device import numa
from pytest_gpuperf.device.readings import Missing, Reading
from pytest_gpuperf.device.visible import pci_address


def place_of(way: str, device: str, root: Path = Path("/")) -> Reading[numa.Placement] | None:
    """The place that a case is named after; None where it is named after something else."""
    where: numa.Where
    for where in numa.WHERE:
        if where == way:
            return numa.placement(where, pci_address(device), root)
    return None


def why_elsewhere(place: Reading[numa.Placement] | None, way: str) -> str | None:
    """Why this process does not run where a case wants it; None where it does."""
    if isinstance(place, Missing):
        return place.reason
    return None if place is None else _differs(place, os.sched_getaffinity(0), numa.policy(), way)


def _differs(place: numa.Placement, cpus: Collection[int], memory: Reading[str], way: str) -> str | None:
    spread = not isinstance(memory, Missing) and memory.startswith("interleaved")
    if frozenset(cpus) == place.cpus and spread == (way == "interleaved"):
        return None
    return f"this process was not started {way}. Start it with: gpuperf numa {way} -- pytest ..."
