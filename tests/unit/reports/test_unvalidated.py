"""A figure of which nobody knows what did the work is marked in every report."""

from __future__ import annotations

import pytest
from examples import a_run

from pytest_gpuperf.comparison.acceptance import accept
from pytest_gpuperf.comparison.compare import compare
from pytest_gpuperf.comparison.findings import Rules
from pytest_gpuperf.comparison.judged import JudgedRun
from pytest_gpuperf.measure.observation import unvalidated
from pytest_gpuperf.records.model import Evidence, Run, Witness
from pytest_gpuperf.reports.formats import render_json
from pytest_gpuperf.reports.markdown import render_markdown
from pytest_gpuperf.reports.show import run_contents
from pytest_gpuperf.reports.terminal import render_table

UNKNOWN = Evidence(
    verdict="unknown",
    witnesses=(Witness(name="processor time", rating="says nothing", figure="busy for 1% of a call"),),
    diagnosis="waiting for the network",
)
PROVEN = Evidence(verdict="proven")


def run_with(evidence: Evidence | None) -> Run:
    notes = () if evidence is None else unvalidated(evidence)
    return a_run(9, evidence=evidence, notes=notes)


def reports(run: Run) -> dict[str, str]:
    baseline = accept(None, [a_run(n) for n in range(5)], {}).baseline
    comparison = compare(run, baseline, name="baseline.json", rules=Rules())
    judged = JudgedRun(comparison=comparison, run=run)
    return {
        "terminal": render_table(comparison, run, 80),
        "unjudged": render_table(None, run, 80),
        "markdown": render_markdown(judged),
        "json": render_json(judged),
        "show": run_contents("run.json", run, 80),
    }


@pytest.mark.parametrize("report", ["terminal", "unjudged", "markdown", "json", "show"])
def test_it_is_marked(report: str) -> None:
    assert "unvalidated" in reports(run_with(UNKNOWN))[report]
    assert "unvalidated" not in reports(run_with(PROVEN))[report]
    assert "unvalidated" not in reports(run_with(None))[report]


def test_the_mark_says_what_was_seen() -> None:
    (note,) = unvalidated(UNKNOWN)
    assert note == (
        "unvalidated: it is not proven that this device did the work (unknown: processor time: busy for 1% of a call). "
        "Likeliest cause of 0 % utilisation: waiting for the network"
    )
