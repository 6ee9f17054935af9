"""What GitHub Actions receives: lines on a failing test in the pull request, and files that it shows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Literal

from pytest_gpuperf.comparison.findings import Comparison, Finding
from pytest_gpuperf.comparison.judged import JudgedRun
from pytest_gpuperf.errors import FileError
from pytest_gpuperf.records.files import write_report
from pytest_gpuperf.records.model import Run
from pytest_gpuperf.records.units import cost_in_words
from pytest_gpuperf.reports.csv_report import render_columns
from pytest_gpuperf.reports.figures import (
    LEVEL,
    both,
    change,
    counts,
    has_interval,
    headline,
    origins,
    reason,
    tolerance,
    word,
)
from pytest_gpuperf.reports.markdown import render_markdown, render_recorded
from pytest_gpuperf.reports.tables import inert, visible
from pytest_gpuperf.reports.why import why_of

SHOWN = 10  # of each level in one step; GitHub drops the rest
LONGEST_TITLE = 200
WARNED = frozenset({"inconclusive", "machine"})


def deliver(
    run: Run,
    judged: JudgedRun | None,
    *,
    markdown: Path | None = None,
    csv: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Write the files that were asked for, and add to the job's summary where there is one."""
    summary = environment.get("GITHUB_STEP_SUMMARY")
    if markdown or summary:
        text = render_markdown(judged) if judged else render_recorded(run)
        if markdown:
            write_report(markdown, f"{text}\n")
        if summary:
            _append(Path(summary), f"{text}\n\n")
    if csv:
        write_report(csv, render_columns(run, judged and judged.comparison))


def github_annotations(judged: JudgedRun, root: Path, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The lines to print for the job that runs us; none elsewhere. The tests' files are relative to `root`."""
    if environment.get("GITHUB_ACTIONS") != "true":
        return []
    workspace = Path(environment.get("GITHUB_WORKSPACE") or root)
    inside = os.path.relpath(root.resolve(), workspace.resolve())
    return github_commands(judged, "" if inside == "." or inside.startswith("..") else f"{Path(inside).as_posix()}/")


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except (OSError, ValueError) as error:
        raise FileError(f"GITHUB_STEP_SUMMARY: {path} cannot be written: {error}.") from None


Level = Literal["error", "warning"]


def github_commands(judged: JudgedRun, root: str = "") -> list[str]:
    """One line each, the gravest first. `root` is pytest's root directory as the repository's paths begin: "perf/"."""
    errors = [*_summary(judged), *_of_cases(judged, root, "error")]
    warnings = list(_of_cases(judged, root, "warning"))
    return [*islice(errors, SHOWN), *_limited(warnings, "undecided, or moved by the machine")]


def command(level: Level, message: str, **properties: str) -> str:
    """A workflow command; its texts cannot change what it means, whatever they hold."""
    parameters = ",".join(f"{name}={_property(text)}" for name, text in properties.items() if text)
    return f"::{level} {parameters}::{_data(inert(message))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _summary(judged: JudgedRun) -> Iterator[str]:
    """The outcome as a whole, with the counts of all cases: GitHub shows only the first annotations."""
    if judged.problems:
        message = "\n".join(visible(p) for p in (*judged.problems, f"{counts(judged.comparison)}."))
        yield command("error", message, title=f"gpuperf on {visible(judged.comparison.device.name)}")


def _of_cases(judged: JudgedRun, root: str, level: Level) -> Iterator[str]:
    for comparison in judged.comparisons:
        for finding in comparison.findings:
            if level_of(finding, comparison) == level:
                yield _of(finding, comparison, root, level)


def level_of(finding: Finding, comparison: Comparison) -> Level | None:
    """What a finding is worth to a reviewer: what fails is an error, what could not be decided a warning."""
    if comparison.is_failure(finding):
        return "error"
    return "warning" if word(finding) in WARNED else None


def _of(finding: Finding, comparison: Comparison, root: str, level: Level) -> str:
    file, is_node_id, name = finding.test.partition("::")
    why = why_of(finding, comparison)
    verdict = finding.verdict
    moved = cost_in_words(finding.evidence, verdict.ratio)
    title = f"{headline(finding)}, {moved}: {visible(name or finding.test)}"
    (before, now), (then, here) = both(finding), origins(finding)
    known = f" (interval: {LEVEL:.0%})" if has_interval(verdict) else ""
    figures = f"before {before} ({then}), now {now} ({here}): {change(verdict)}{known}; {tolerance(finding)}"
    lines = [
        visible(finding.case),
        figures,
        visible(reason(finding)),
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
