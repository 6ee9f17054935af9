"""The gate: withholds reports, has suspects measured again, judges, and turns verdicts into failures."""

from __future__ import annotations

import shlex
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from pytest_gpuperf.causes.explain import explanations, unprofiled
from pytest_gpuperf.comparison.compare import compare, moved, refuse_other_device, suspects_in
from pytest_gpuperf.comparison.findings import Comparison, Finding, Rules
from pytest_gpuperf.comparison.judged import PINNED_RULES, JudgedRun
from pytest_gpuperf.errors import FileError
from pytest_gpuperf.plugin import collection
from pytest_gpuperf.plugin.confirmation import Confirming, Suspicion
from pytest_gpuperf.plugin.fresh_sessions import FRESH_SESSIONS, looked_at
from pytest_gpuperf.plugin.withheld import Withheld
from pytest_gpuperf.records.files import read_baseline
from pytest_gpuperf.records.model import Baseline, Case, Run, Scope
from pytest_gpuperf.reports.junit import describe_again
from pytest_gpuperf.reports.terminal import explain
from pytest_gpuperf.reports.why import why_of

if TYPE_CHECKING:
    from pytest_gpuperf.device.choice import Chosen
    from pytest_gpuperf.plugin.recorder import Recorder
    from pytest_gpuperf.plugin.settings import Settings
    from pytest_gpuperf.records.invocation import Invocation


IN_PROCESSES = frozenset({"turns", "process"})  # ways to confirm that start processes


def open_gate(config: pytest.Config, settings: Settings, chosen: Chosen) -> Gate:
    """Read the baseline, before anything is measured."""
    path, name = _baseline_path(config, str(settings.compare), chosen)
    invocation = collection.scope(config).invocation
    baseline = _read(path, name, chosen, invocation)
    reference = None
    if settings.reference is not None:
        pinned = config.invocation_params.dir / settings.reference
        reference = _read(pinned, settings.reference, chosen, invocation)
    if settings.confirm in IN_PROCESSES and chosen.sensors.one_process:  # a fresh process would not get the card
        settings = replace(settings, confirm="in-test")
    return Gate(config, settings, name, baseline, reference)


def _read(path: Path, name: str, chosen: Chosen, invocation: Invocation) -> Baseline:
    try:
        baseline = read_baseline(path)
    except FileError as error:
        into = f"--into {shlex.quote(str(path))}"  # ends the command that the message offers
        raise FileError(str(error).replace(into, into + invocation.tail())) from None
    refuse_other_device(chosen.environment(), baseline, name, invocation)
    return baseline


def _baseline_path(config: pytest.Config, asked: str, chosen: Chosen) -> tuple[Path, str]:
    if asked != "auto":
        return config.invocation_params.dir / asked, asked
    name = f"baselines/{chosen.device.slug}.json"
    path = config.rootpath / name
    if not path.exists():
        raise FileError(
            f"{path}: this device has no baseline yet. Record one: "
            f"gpuperf calibrate --sessions 5 --into {name}{collection.scope(config).invocation.tail()}"
        )
    return path, name


@dataclass
class Gate:
    """Judges one session against one baseline."""

    config: pytest.Config
    settings: Settings
    name: str
    baseline: Baseline
    reference: Baseline | None  # pinned: what accepted losses add up to
    withheld: list[Withheld] = field(default_factory=list[Withheld])
    judged: JudgedRun | None = None
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.known = {a.id for a in self.baseline.cases}

    def run(self, item: pytest.Item, nextitem: pytest.Item | None, recorder: Recorder, caller: object) -> bool:
        """Run a test. What has a baseline waits for its verdict; everything else is reported at once."""
        done = Withheld.run(item, nextitem, caller)
        if done.passed and not self.known.isdisjoint(recorder.cases_of(item.nodeid)):
            self.withheld.append(done)
        else:
            done.log()
        return True

    def wants_repeat(self, recorder: Recorder, case: Case) -> bool:
        """Whether a suspect is to be measured again in its own test."""
        if self.settings.confirm != "in-test" or len(case.measurements) > FRESH_SESSIONS:
            return False
        if len(case.measurements) > 1:
            return True
        run = msgspec.structs.replace(recorder.run(Scope()), cases=(case,))
        return self._suspects(run)

    def explains_here(self, recorder: Recorder, case: Case) -> bool:
        """Whether a case that seems to have changed is to be looked at in its own test: no fresh process will."""
        if self.settings.confirm in IN_PROCESSES or case.id not in self.known:
            return False
        run = msgspec.structs.replace(recorder.run(Scope()), cases=(case,))
        return bool(self._suspects(run) or moved(compare(run, self.baseline, name=self.name).findings))

    def judge(self, run: Run, recorder: Recorder, *, interrupted: bool) -> Run:
        """Have suspects measured again, then judge; gives the run with what was measured for that."""
        settings = self.settings
        suspicions = [self._suspicion(run, against) for against in self._baselines]
        confirming = None
        if settings.confirm in IN_PROCESSES and any(suspicions):
            durations = {w.item.nodeid: sum(r.duration for r in w.reports) for w in self.withheld}
            confirming = Confirming(self.config, settings, run, suspicions, self.known, durations)
            if interrupted:
                confirming.stopped = KeyboardInterrupt()
            else:
                recorder.chosen.memory.release()
                confirming.confirm()
            run = confirming.learned()
        comparisons = self._compared(run)
        changed = moved(comparisons[0].findings)
        # No fresh process that looks at what a case runs had to measure these again.
        unprofiled_cases = unprofiled(run, self.baseline, changed)
        stopped = interrupted or (confirming is not None and confirming.stopped is not None)
        if unprofiled_cases and settings.confirm in IN_PROCESSES and not stopped:
            recorder.chosen.memory.release()
            run = looked_at(self.config, run, unprofiled_cases, time.monotonic() - self.started)
            explained = explanations(run, self.baseline, changed)
            comparisons[0] = msgspec.structs.replace(comparisons[0], explanations=explained)
        failure = confirming and confirming.failure
        self.judged = JudgedRun(
            run=run,
            comparison=comparisons[0],
            reference=comparisons[1] if self.reference else None,
            trouble=(f"A suspect could not be confirmed: {failure}.",) if failure else (),
        )
        if confirming is not None and confirming.stopped is not None and not interrupted:
            raise confirming.stopped
        return run

    def report(self) -> None:
        """Log what was withheld, failed where its verdict says so."""
        failing: dict[str, list[tuple[Finding, Comparison]]] = defaultdict(list)
        for comparison in self.judged.comparisons if self.judged else ():
            for finding in comparison.findings:
                if comparison.is_failure(finding):
                    failing[finding.test].append((finding, comparison))
        for waiting in self.withheld:
            failed = failing.get(waiting.item.nodeid)
            if failed:
                text = "\n\n".join(explain(f, against, why_of(f, against)) for f, against in failed)
                waiting.fail("; ".join(f"{f.verdict.word}: {f.metric}" for f, _ in failed), text)
            self._describe(waiting)
            waiting.log()

    def _describe(self, waiting: Withheld) -> None:
        if self.judged is not None:
            cases = self.judged.cases_of(waiting.item.nodeid)
            findings = self.judged.findings_of(waiting.item.nodeid)
            describe_again(waiting.reports, cases, findings, self.judged.run.environment.device.name)

    def exit_status(self, status: int) -> int:
        """pytest's exit code, or ours where pytest found nothing wrong."""
        if status not in {0, 5} or self.judged is None:
            return status
        return self.judged.exit_code

    @property
    def _baselines(self) -> list[Baseline]:
        return [self.baseline, *([self.reference] if self.reference else [])]

    def _suspicion(self, run: Run, baseline: Baseline) -> Suspicion:
        return Suspicion(baseline, suspects_in(run, baseline))

    def _suspects(self, run: Run) -> bool:
        return any(self._suspicion(run, baseline) for baseline in self._baselines)

    def _compared(self, run: Run) -> list[Comparison]:
        """Against the baseline, then against the reference."""
        settings = self.settings
        rules = Rules(
            strict=settings.strict,
            allow_missing=settings.allow_missing,
            min_decided=settings.min_decided,
            allow_environment=settings.allow_environment,
        )
        pinned = msgspec.structs.replace(PINNED_RULES, allow_environment=settings.allow_environment)
        names, each = (self.name, str(settings.reference)), (rules, pinned)
        saved = None if settings.save is None else str(settings.save)
        return [
            compare(run, baseline, name=name, rules=of, recorded=saved)
            for baseline, name, of in zip(self._baselines, names, each, strict=False)
        ]
