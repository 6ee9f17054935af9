"""The gate: withholds reports, has suspects measured again, judges, and turns verdicts into failures."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from pytest_gpuperf.analysis.comparison import compare, moved, refuse_other_device, suspects
from pytest_gpuperf.analysis.explaining import explanations, unprofiled
from pytest_gpuperf.analysis.findings import Comparison, Finding, Rules
from pytest_gpuperf.errors import FileError
from pytest_gpuperf.plugin.confirmation import FRESH_SESSIONS, looked_at, measured_again
from pytest_gpuperf.plugin.described import describe_again
from pytest_gpuperf.plugin.withheld import Withheld
from pytest_gpuperf.reports.causes import why_of
from pytest_gpuperf.reports.judged import PINNED_RULES, Judged
from pytest_gpuperf.reports.terminal import explain
from pytest_gpuperf.results.files import read_baseline
from pytest_gpuperf.results.records import Baseline, Case, Run, Scope

if TYPE_CHECKING:
    from pytest_gpuperf.device.choice import Chosen
    from pytest_gpuperf.plugin.recorder import Recorder
    from pytest_gpuperf.plugin.settings import Settings


def open_gate(config: pytest.Config, settings: Settings, chosen: Chosen) -> Gate:
    """Read the baseline, before anything is measured."""
    path, name = _baseline_path(config, str(settings.compare), chosen)
    baseline = _read(path, name, chosen)
    reference = None
    if settings.reference is not None:
        reference = _read(config.invocation_params.dir / settings.reference, settings.reference, chosen)
    if settings.confirm == "process" and chosen.sensors.one_process:  # a fresh process would not get the card
        settings = replace(settings, confirm="in-test")
    return Gate(config, settings, name, baseline, reference)


def _read(path: Path, name: str, chosen: Chosen) -> Baseline:
    baseline = read_baseline(path)
    refuse_other_device(chosen.environment(), baseline, name)
    return baseline


def _baseline_path(config: pytest.Config, asked: str, chosen: Chosen) -> tuple[Path, str]:
    if asked != "auto":
        return config.invocation_params.dir / asked, asked
    name = f"baselines/{chosen.device.slug}.json"
    path = config.rootpath / name
    if not path.exists():
        raise FileError(
            f"{path}: this device has no baseline yet. Record one: "
            f"gpuperf calibrate --sessions 5 --into {name} -- PYTEST-ARGUMENTS"
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
    judged: Judged | None = None
    unconfirmed: str | None = None  # why suspects could not be measured again
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.known = {a.id for a in self.baseline.cases}

    def run(self, item: pytest.Item, nextitem: pytest.Item | None, recorder: Recorder) -> bool:
        """Run a test. What has a baseline waits for its verdict; everything else is reported at once."""
        done = Withheld.run(item, nextitem)
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
        return bool(self._suspects(run))

    def explains_here(self, recorder: Recorder, case: Case) -> bool:
        """Whether a case that seems to have changed is to be looked at in its own test: no fresh process will."""
        if self.settings.confirm == "process" or case.id not in self.known:
            return False
        run = msgspec.structs.replace(recorder.run(Scope()), cases=(case,))
        return bool(self._suspects(run) or moved(compare(run, self.baseline, name=self.name).findings))

    def judge(self, run: Run, recorder: Recorder, *, interrupted: bool) -> Run:
        """Have suspects measured again, then judge; gives the run with what was measured for that."""
        suspicious: set[str] = set()
        if self.settings.confirm == "process":
            suspicious = self._suspects(run)
            if suspicious and interrupted:
                self.unconfirmed = "the session was interrupted before it was measured again"
            elif suspicious:
                recorder.chosen.memory.release()
                took = time.monotonic() - self.started
                run, self.unconfirmed = measured_again(self.config, run, suspicious, self.known, took)
        settings = self.settings
        rules = Rules(strict=settings.strict, allow_missing=settings.allow_missing, min_decided=settings.min_decided)
        comparison = self._compared(run, self.baseline, self.name, rules, suspicious)
        changed = moved(comparison.findings)
        unseen = unprofiled(run, self.baseline, changed)  # improved: nobody had to measure them again
        if unseen and settings.confirm == "process" and not interrupted:
            recorder.chosen.memory.release()
            run = looked_at(self.config, run, unseen, time.monotonic() - self.started)
            comparison = msgspec.structs.replace(comparison, explanations=explanations(run, self.baseline, changed))
        self.judged = Judged(
            run=run,
            comparison=comparison,
            reference=self.reference
            and self._compared(run, self.reference, str(settings.reference), PINNED_RULES, suspicious),
            trouble=(f"A suspect could not be confirmed: {self.unconfirmed}.",) if self.unconfirmed else (),
        )
        return run

    def report(self) -> None:
        """Log what was withheld, failed where its verdict says so."""
        failing: dict[str, list[tuple[Finding, Comparison]]] = defaultdict(list)
        for comparison in self.judged.comparisons if self.judged else ():
            for finding in comparison.findings:
                if finding.fails or (comparison.rules.strict and finding.verdict.word == "inconclusive"):
                    failing[finding.test].append((finding, comparison))
        for waiting in self.withheld:
            failed = failing.get(waiting.item.nodeid)
            if failed:
                text = "\n\n".join(explain(f, against.baseline, why_of(f, against)) for f, against in failed)
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

    def _suspects(self, run: Run) -> set[str]:
        found = suspects(run, self.baseline)
        return found | suspects(run, self.reference) if self.reference else found

    def _compared(self, run: Run, baseline: Baseline, name: str, rules: Rules, suspicious: set[str]) -> Comparison:
        comparison = compare(run, baseline, name=name, rules=rules)
        return comparison if self.unconfirmed is None else _without_verdict(comparison, suspicious, self.unconfirmed)


def _without_verdict(comparison: Comparison, cases: set[str], why: str) -> Comparison:
    """A suspect that was not measured again may not fail, and must not pass."""
    findings = tuple(
        msgspec.structs.replace(
            f, verdict=msgspec.structs.replace(f.verdict, word="inconclusive", reason=why.splitlines()[0])
        )
        if f.case in cases
        else f
        for f in comparison.findings
    )
    return msgspec.structs.replace(comparison, findings=findings, suite=None)
