"""How often a gate is wrong on one machine: what `gpuperf selftest` found."""

from __future__ import annotations

import math

from pytest_gpuperf.results.records import Environment, Record, Word

FOUND = 0.8  # of the comparisons: from then on a slow-down counts as seen


class Level(Record, frozen=True, kw_only=True):
    """What the gate said of every case at one injected slow-down."""

    slowdown: float  # 0 is the suite against itself
    comparisons: int  # cases x rounds
    verdicts: dict[Word, int]
    suites: int  # rounds
    failed_suites: int  # rounds in which at least one case, or the suite as a whole, regressed

    @property
    def detected(self) -> float:
        """The share of cases called regressed: at 0 the false alarms."""
        return self.verdicts.get("regressed", 0) / self.comparisons

    @property
    def interval(self) -> tuple[float, float]:
        """The share's 95 % interval (Wilson); rounds share one baseline, so it is optimistic."""
        return wilson(self.verdicts.get("regressed", 0), self.comparisons)


class Selftest(Record, frozen=True, kw_only=True):
    """The gate's own figures on one machine, in one hour."""

    environment: Environment
    cases: tuple[str, ...]
    baseline_sessions: int
    rounds: int
    seconds: float
    levels: tuple[Level, ...]

    @property
    def smallest_seen(self) -> float | None:
        """The smallest injected slow-down found in at least 80 % of its comparisons."""
        return next((v.slowdown for v in self.levels if v.slowdown and v.detected >= FOUND), None)


def wilson(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of a share."""
    share = hits / count
    middle = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)
