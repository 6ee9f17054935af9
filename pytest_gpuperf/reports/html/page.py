"""From a run, judged or not, to everything that the page's script shows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from pytest_gpuperf.comparison.findings import Comparison, Finding
from pytest_gpuperf.comparison.judged import JudgedRun
from pytest_gpuperf.comparison.ratios import USUAL_ORDER, figures_of
from pytest_gpuperf.records.model import Baseline, Run, Session
from pytest_gpuperf.reports.html.content import Entry, Header, Page
from pytest_gpuperf.reports.html.entries import GRAVEST_FIRST, Shared, entry
from pytest_gpuperf.reports.tables import visible


@dataclass(frozen=True)
class Subject:
    """A run, judged where there was a baseline; the baseline's sessions are drawn beside the run's."""

    run: Run
    judged: JudgedRun | None = None
    baseline: Baseline | None = None

    @property
    def comparison(self) -> Comparison | None:
        """Against the baseline."""
        return self.judged and self.judged.comparison


def page_of(subject: Subject) -> Page:
    """Every case, the gravest first, and within a verdict the one that changed most."""
    run, comparison, baseline = subject.run, subject.comparison, subject.baseline
    findings: dict[str, list[Finding]] = defaultdict(list)
    for finding in comparison.findings if comparison else ():
        findings[finding.case].append(finding)
    new = frozenset(comparison.new if comparison else ())
    accepted = {a.id: a for a in baseline.cases} if baseline else {}
    before = baseline.sessions if baseline else ()
    headers = [*((s, True) for s in before), *((s, False) for s in run.sessions)]
    every = figures_of(run)
    names = {name for figures in every for name in figures.parameters}
    usual = [name for name in USUAL_ORDER if name in names]
    shared = Shared(
        sessions={(s.id, old): i for i, (s, old) in enumerate(headers)},
        parameters=(*usual, *sorted(names.difference(usual))),
        baseline=comparison.baseline if comparison else "",
        invocation=subject.run.scope.invocation,
    )
    cases = [
        entry(
            case,
            figures,
            sorted(findings.get(case.id, ()), key=lambda f: f.evidence != "time"),
            accepted.get(case.id),
            explanation=comparison.explanations.get(case.id) if comparison else None,
            page=shared,
            new=case.id in new,
        )
        for case, figures in zip(run.cases, every, strict=True)
    ]
    return Page(
        cases=tuple(sorted(cases, key=_gravity)),
        sessions=tuple(_header(s, baseline=old) for s, old in headers),
        parameters=tuple(map(visible, shared.parameters)),
        texts=tuple(shared.texts),
        absent=_absent(subject),
        compared=comparison is not None,
    )


def _gravity(case: Entry) -> tuple[int, float, str]:
    rank = GRAVEST_FIRST.index(case.word) if case.word in GRAVEST_FIRST else len(GRAVEST_FIRST)
    return rank, -max((j.ratio for j in case.judged if j.word == case.word), default=0.0), case.id


def _header(session: Session, *, baseline: bool) -> Header:
    return Header(
        id=visible(session.id),
        time=session.time,
        revision=session.revision and visible(session.revision),
        card=session.card and visible(session.card)[:8],
        baseline=baseline,
    )


def _absent(subject: Subject) -> dict[str, str]:
    """Tests of this run, and cases of the baseline, that no figure stands for."""
    comparison = subject.comparison
    found = dict(subject.run.scope.unmeasured)
    if comparison is not None:
        found |= dict.fromkeys(comparison.vanished, "vanished: it is in the baseline, and no test measures it now")
        found |= comparison.unmeasured
    return {visible(name): visible(why) for name, why in found.items()}
