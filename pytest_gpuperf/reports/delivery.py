"""Handing reports over: files that were asked for, and what GitHub Actions reads of the job that runs us."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.reports.annotations import github_commands
from pytest_gpuperf.reports.columns import render_columns
from pytest_gpuperf.reports.judged import Judged
from pytest_gpuperf.reports.markdown import render_markdown, render_recorded
from pytest_gpuperf.results.files import write_report
from pytest_gpuperf.results.records import Run


def deliver(
    run: Run,
    judged: Judged | None,
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


def github_annotations(judged: Judged, root: Path, environment: Mapping[str, str] = os.environ) -> list[str]:
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
