"""Is it the same kind of device, and what else changed since?"""

from __future__ import annotations

from collections.abc import Mapping

from pytest_gpuperf.records.model import Device
from pytest_gpuperf.records.units import format_bytes

MEMORY_SLACK = 0.05  # drivers and firmware reserve a little more or less of the same card
POWER_SLACK = 0.01  # the same limit is reported as 70 W, 70.001 W or 69.99 W


def device_differences(a: Device, b: Device) -> list[str]:
    """What makes two kinds of device of them, a phrase each; empty where figures may be compared.

    A memory or a power limit that one of them does not know is no difference: a publication, or the file of another
    tool, may not state it.
    """
    found = [
        f"{what} {_shown(before)}, here {_shown(now)}"
        for what, before, now in (
            ("kind", a.kind, b.kind),
            ("name", a.name, b.name),
            ("compute capability", a.capability, b.capability),
            ("MIG profile", a.mig, b.mig),
            ("cores", a.cores, b.cores),
        )
        if before != now
    ]
    if a.power_limit and b.power_limit and _differ(a.power_limit, b.power_limit, POWER_SLACK):
        found.append(f"power limit in watts {_shown(a.power_limit)}, here {_shown(b.power_limit)}")
    if a.memory and b.memory and _differ(a.memory, b.memory, MEMORY_SLACK):
        found.append(f"memory {format_bytes(a.memory)}, here {format_bytes(b.memory)}")
    return found


def software_changes(a: Mapping[str, str], b: Mapping[str, str]) -> list[str]:
    """What differs between two environments' software: ``torch 2.13.0 -> 2.15.0``."""
    return [f"{name} {_shown(a.get(name))} -> {_shown(b.get(name))}" for name in changed_software(a, b)]


def changed_software(a: Mapping[str, str], b: Mapping[str, str]) -> list[str]:
    """The names of software whose versions differ, or that only one environment has."""
    return [name for name in sorted({*a, *b}) if a.get(name) != b.get(name)]


def _differ(a: float, b: float, slack: float) -> bool:
    return abs(a - b) > slack * max(a, b)


def _shown(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
