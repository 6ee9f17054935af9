"""A suite's sessions as they were measured, and once more without what canaries explain: a verdict holds in both."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from pytest_gpuperf.gate import reasons
from pytest_gpuperf.gate.arrays import Floats
from pytest_gpuperf.gate.inside_suite import SUITE_FROM, Figures, SuiteSessions, View
from pytest_gpuperf.gate.machine_shift import believed_shifts, machine_shifts, share_explained
from pytest_gpuperf.gate.observations import Canaries, CaseEvidence, Policy
from pytest_gpuperf.gate.reasons import CaseFigures
from pytest_gpuperf.records.model import Verdict

SUITE = "(suite)"  # the key of the whole suite's verdict
SUITE_SHOWN_BY = 16  # cases, at most, that are measured again because the suite as a whole is suspicious
_MOVED = 2.0  # standard errors of the canaries' shift: less is no shift


class Suite:
    """All cases' session figures, judged as measured and as corrected."""

    def __init__(self, cases: Mapping[str, CaseEvidence], canaries: Canaries | None, policy: Policy) -> None:
        self.sessions = SuiteSessions(cases, policy)
        self.measured = View(self.sessions, Figures(self.sessions.raw))
        figures = self._corrected(canaries)
        self.corrected = None if figures is None else View(self.sessions, figures)

    @property
    def views(self) -> tuple[View, ...]:
        """As measured, then as corrected."""
        return (self.measured,) if self.corrected is None else (self.measured, self.corrected)

    def verdicts(self) -> dict[str, Verdict]:
        """Of every case. Where the two views give two words, the case is inconclusive."""
        judged: dict[str, CaseFigures] = {}
        for group in self.measured.groups:
            judged |= group.judged()
        other: dict[str, CaseFigures] = {}
        for group in self.corrected.groups if self.corrected else ():
            other |= group.judged()
        return {name: reasons.verdict(one, other.get(name)) for name, one in judged.items()}

    def verdict(self) -> Verdict | None:
        """Of the suite as a whole: the median case, beyond what each case's own policy allows."""
        if len(self.sessions.names) < SUITE_FROM:
            return None
        views = [view.as_one() for view in self.views]
        return reasons.suite(views[0], views[-1] if len(views) > 1 else None, cases=len(self.sessions.names))

    def find_suspects(self) -> set[str]:
        """The cases that their sessions do not clear, and typical ones where the suite as a whole is suspicious."""
        found = {name for view in self.views for group in view.groups for name in group.find_suspects()}
        return found | self._typical(found)

    def _typical(self, already: Collection[str]) -> set[str]:
        """Where the suite as a whole is suspicious: the most typical cases, beside those that are suspect already."""
        if len(self.sessions.names) < SUITE_FROM or not any(view.is_suspicious for view in self.views):
            return set()
        change = np.concatenate([g.change for g in self.measured.groups])
        names = [name for g in self.measured.groups for name in g.names]
        nearest: list[str] = [
            names[i] for i in np.argsort(np.abs(change - float(np.median(change))), kind="stable").tolist()
        ]
        return set([n for n in nearest if n not in already][: max(SUITE_SHOWN_BY - len(already), 0)])

    def _corrected(self, canaries: Canaries | None) -> Figures | None:
        """The figures without what canaries explain of them; None where they show no shift that can be believed."""
        sessions, index = self.sessions, self.sessions.index
        now = sorted({s.id for c in sessions.cases.values() for s in c.candidate})
        then = sorted({s.id for c in sessions.cases.values() for s in c.baseline})
        shifts = machine_shifts(canaries, then, now)
        if shifts is None:
            return None
        moved = self.measured.moved_by_session()
        known = {name: moved.get(index[name], 0.0) for name in now}
        believed = believed_shifts(shifts, known)
        if all(abs(b) < _MOVED * shifts.variance**0.5 for b in believed.values()):
            return None
        by_session = {**shifts.before, **believed}
        shift: Floats = np.array([by_session[i] for i in index])
        effects, which, _ = self.measured.effects(at_least=1)
        share, uncertain = share_explained(
            effects - effects.mean(), shift[which] - shift[which].mean(), shifts.variance
        )
        of_all = shift[sessions.session]
        return Figures(
            sessions.raw - share * of_all,
            shift=of_all,
            share_variance=uncertain,
            shift_variance=share**2 * shifts.variance,
            beyond=shifts.beyond(believed.values()),
        )
