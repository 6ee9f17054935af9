"""The comparison as JSON, for programs."""

from __future__ import annotations

import msgspec

from pytest_gpuperf.reports.figures import LEVEL
from pytest_gpuperf.reports.judged import Judged


def render_json(judged: Judged) -> str:
    """One document: the outcome, then everything the comparison knows; a figure that is not finite is null."""
    report = {
        "exit_code": judged.exit_code,
        "problems": judged.problems,
        "measured": len(judged.run.cases),
        "compared": len(judged.comparison.timed),
        "decided": judged.comparison.decided,
        "interval_level": LEVEL,
        "comparison": judged.comparison,
        "reference": judged.reference,
    }
    text = msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
    text = text.replace("##[", "\\u0023#[")  # the same string, and no command to the job whose log it stands in
    return "\n".join(line if line.isprintable() else _escaped(line) for line in text.split("\n"))


def _escaped(line: str) -> str:
    """The same JSON without a character that a terminal would obey; only its strings hold any."""
    return "".join(c if c.isprintable() else _units(c) for c in line)


def _units(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
