"""What GitHub shows on the test's own line in a pull request: workflow commands for the job that runs us.

The runner reads a command up to its second "::", then turns %XX back; so neither a name nor a reason can end its own
command or begin another (https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Literal

from pytest_gpuperf.analysis.findings import Comparison, Finding
from pytest_gpuperf.reports.causes import why_of
from pytest_gpuperf.reports.figures import before_and_now, both_changes, counts, headline, measured_by, tolerance
from pytest_gpuperf.reports.judged import Judged
from pytest_gpuperf.reports.tables import inert, visible

SHOWN = 10  # of each level in one step; GitHub drops the rest
LONGEST_TITLE = 200

Level = Literal["error", "warning"]


def github_commands(judged: Judged, root: str = "") -> list[str]:
    """One line each, the gravest first. `root` is pytest's root directory as the repository's paths begin: "perf/"."""
    errors = [*_summary(judged), *_of_cases(judged, root, "error")]
    warnings = list(_of_cases(judged, root, "warning"))
    return [*islice(errors, SHOWN), *_limited(warnings, "inconclusive or slower with no code changed")]


def command(level: Level, message: str, **properties: str) -> str:
    """A workflow command that means what it says, whatever its texts hold."""
    given = ",".join(f"{name}={_property(text)}" for name, text in properties.items() if text)
    return f"::{level} {given}::{_data(inert(message))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _summary(judged: Judged) -> Iterator[str]:
    """The outcome as a whole, which also says how many there are beyond those that GitHub shows."""
    if judged.problems:
        said = "\n".join(visible(p) for p in (*judged.problems, f"{counts(judged.comparison)}."))
        yield command("error", said, title=f"gpuperf on {visible(judged.comparison.device.name)}")


def _of_cases(judged: Judged, root: str, level: Level) -> Iterator[str]:
    for comparison in judged.comparisons:
        for finding in comparison.findings:
            if level_of(finding, comparison) == level:
                yield _of(finding, comparison, root, level)


def level_of(finding: Finding, comparison: Comparison) -> Level | None:
    """What a finding is worth to a reviewer: what fails is an error; what could not be told, or is slower though no
    code changed, a warning.
    """
    if comparison.fails(finding):
        return "error"
    slower = finding.slower and finding.verdict.word in {"environment", "machine"}
    return "warning" if slower or finding.verdict.word == "inconclusive" else None


def _of(finding: Finding, comparison: Comparison, root: str, level: Level) -> str:
    file, is_node_id, name = finding.test.partition("::")
    why = why_of(finding, comparison)
    title = f"{headline(finding)}: {visible(name or finding.test)}"
    (before, now), (was, became) = before_and_now(finding), measured_by(finding)
    judged = (
        f"before {before} ({was}), now {now} ({became}): {both_changes(finding)}; the tolerance is {tolerance(finding)}"
    )
    lines = [
        visible(finding.case),
        judged,
        visible(finding.verdict.reason),
        *((visible(why),) if why else ()),
    ]
    return command(
        level,
        "\n".join(lines),
        file=visible(root + file) if is_node_id else "",
        line=str(finding.line or 1) if is_node_id else "",
        title=title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…",
    )


def _limited(lines: list[str], what: str) -> list[str]:
    if len(lines) <= SHOWN:
        return lines
    rest = len(lines) - SHOWN + 1
    return [*lines[: SHOWN - 1], command("warning", f"{rest} more are {what}: see the job's summary.", title="gpuperf")]
