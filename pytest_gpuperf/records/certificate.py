"""The instrument's certificate: what `gpuperf selftest` looked at on one machine, and whether it holds there."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Literal

from pytest_gpuperf.records.model import Environment, Record, Word

FOUND = 0.8  # of its comparisons: a slow-down that fails so many of them counts as found
FALSE_ALARMS = 0.01  # of comparisons of unchanged code
WORST_DETECTION_LIMIT = 0.10  # a slow-down as large as the widest margin has to be found
_DEPENDS_ON = ("driver", "cuda", "torch", "onnxruntime", "onnxruntime-gpu", "python", "gpuperf")


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
    def detection_limit(self) -> float | None:
        """The smallest injected slow-down found in at least 80 % of its comparisons."""
        return next((v.slowdown for v in self.levels if v.slowdown and v.detected >= FOUND), None)


def wilson(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of a share."""
    share = hits / count
    middle = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


Part = Literal["timing", "evidence", "memory", "power", "gate"]
RowWord = Literal["holds", "fails", "not possible"]
PARTS: tuple[Part, ...] = ("timing", "evidence", "memory", "power", "gate")


class Row(Record, frozen=True):
    """One thing that was looked at. Where it is not possible, `figure` says why."""

    part: Part
    what: str
    figure: str
    bar: str
    word: RowWord


class LeftOut(Record, frozen=True):
    """A step that the budget had no room for."""

    part: Part
    step: str
    seconds: float  # that it would take, about


class Certificate(Record, frozen=True, kw_only=True):
    """Everything that one `gpuperf selftest` found."""

    gpuperf: str  # the version that wrote it
    environment: Environment
    card: str | None
    created: datetime
    seconds: float
    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...] = ()
    gate: Selftest | None = None

    def count(self, word: RowWord) -> int:
        return sum(row.word == word for row in self.rows)

    def changed_since(self, software: dict[str, str]) -> tuple[str, ...]:
        """What the instrument rests on and is of another version now: "driver 580.1 -> 590.2"."""
        then = self.environment.software
        return tuple(
            f"{name} {then.get(name, 'none')} -> {software.get(name, 'none')}"
            for name in _DEPENDS_ON
            if then.get(name) != software.get(name)
        )


def judged(part: Part, what: str, figure: str, bar: str, *, holds: bool) -> Row:
    return Row(part, what, figure, bar, "holds" if holds else "fails")


def impossible(part: Part, what: str, why: str) -> Row:
    return Row(part, what, why, "", "not possible")


def rows_of_gate(found: Selftest) -> tuple[Row, ...]:
    """Its false alarms, and the smallest slow-down it sees.

    So few comparisons cannot prove 1 %: false alarms fail the row when they are more than 1 % for certain.
    """
    itself = next(level for level in found.levels if level.slowdown == 0)
    low, high = itself.interval
    smallest = found.detection_limit
    figure = f"{itself.verdicts.get('regressed', 0)} of {itself.comparisons} ({low:.1%} to {high:.1%})"
    limit = "none of those injected" if smallest is None else f"{smallest:.0%}"
    return (
        judged("gate", "unchanged code called slower", figure, f"<= {FALSE_ALARMS:.0%}", holds=low <= FALSE_ALARMS),
        judged(
            "gate",
            f"smallest slow-down found in {FOUND:.0%} of its comparisons",
            limit,
            f"<= {WORST_DETECTION_LIMIT:.0%}",
            holds=smallest is not None and smallest <= WORST_DETECTION_LIMIT,
        ),
    )
