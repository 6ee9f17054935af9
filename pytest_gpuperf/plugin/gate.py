"""The gate: withholds reports, has suspects measured again, judges, and turns verdicts into failures."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from pytest_gpuperf.analysis.comparison import (
    Comparison,
    Finding,
    Rules,
    compare,
    refuse_other_device,
    suspects,
)
from pytest_gpuperf.errors import FileError, SessionError
from pytest_gpuperf.plugin.again import arguments_again
from pytest_gpuperf.plugin.withheld import Withheld
from pytest_gpuperf.reports.terminal import explain
from pytest_gpuperf.results.files import read_baseline
from pytest_gpuperf.results.merging import with_sessions_of
from pytest_gpuperf.results.records import Baseline, Case, Run, Scope
from pytest_gpuperf.sessions.process import run_session

if TYPE_CHECKING:
    from pytest_gpuperf.device.choice import Chosen
    from pytest_gpuperf.plugin.recorder import Recorder
    from pytest_gpuperf.plugin.settings import Settings

FRESH_SESSIONS = 2  # a suspect is measured in so many more processes before it may fail
REFERENCES = 3  # unsuspicious cases measured beside the suspects, to see how the fresh processes themselves differ


def open_gate(config: pytest.Config, settings: Settings, chosen: Chosen) -> Gate:
    """Read the baseline, before anything is measured."""
    path, name = _baseline_path(config, str(settings.compare), chosen)
    baseline = _read(path, name, chosen)
    reference = None
    if settings.reference is not None:
        reference = _read(config.invocation_params.dir / settings.reference, settings.reference, chosen)
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
    comparison: Comparison | None = None
    creep: Comparison | None = None  # against the reference
    unconfirmed: str | None = None  # why suspects could not be measured again

    def run(self, item: pytest.Item, nextitem: pytest.Item | None, recorder: Recorder) -> bool:
        """Run a test. What has a baseline waits for its verdict; everything else is reported at once."""
        done = Withheld.run(item, nextitem)
        known = {a.id for a in self.baseline.cases if a.test == item.nodeid}
        if done.passed and known.intersection(recorder.cases):
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

    def judge(self, run: Run, recorder: Recorder, *, interrupted: bool) -> Run:
        """Have suspects measured again, then judge; gives the run with what was measured for that."""
        suspicious: set[str] = set()
        if self.settings.confirm == "process":
            suspicious = self._suspects(run)
            if suspicious and interrupted:
                self.unconfirmed = "the session was interrupted before it was measured again"
            elif suspicious:
                recorder.chosen.memory.release()
                run = self._measured_again(run, suspicious)
        self.comparison = self._compared(run, self.baseline, self.name, self._rules(), suspicious)
        if self.reference is not None:
            rules = Rules(allow_missing=True, min_decided=0)
            self.creep = self._compared(run, self.reference, str(self.settings.reference), rules, suspicious)
        return run

    def report(self) -> None:
        """Log what was withheld, failed where its verdict says so."""
        failing: dict[str, list[tuple[Finding, str]]] = defaultdict(list)
        for comparison in filter(None, (self.comparison, self.creep)):
            for finding in comparison.findings:
                if finding.fails or (comparison.rules.strict and finding.verdict.word == "inconclusive"):
                    failing[finding.test].append((finding, comparison.baseline))
        for waiting in self.withheld:
            failed = failing.get(waiting.item.nodeid)
            if failed:
                text = "\n\n".join(explain(finding, against) for finding, against in failed)
                waiting.fail("; ".join(f"{f.verdict.word}: {f.metric}" for f, _ in failed), text)
            waiting.log()

    @property
    def problems(self) -> list[str]:
        """Why the session fails, a sentence each."""
        found = list(self.comparison.problems) if self.comparison else []
        found += (
            [f"Against the reference {self.creep.baseline}: {p}" for p in self.creep.problems] if self.creep else []
        )
        return [*found, f"A suspect could not be confirmed: {self.unconfirmed}."] if self.unconfirmed else found

    def exit_status(self, status: int) -> int:
        """pytest's exit code, or ours where pytest found nothing wrong."""
        if status not in {0, 5} or self.comparison is None:
            return status
        codes = [c.exit_code for c in (self.comparison, self.creep) if c]
        if self.unconfirmed:
            codes.append(1)
        return min((code for code in codes if code), default=0)

    def _rules(self) -> Rules:
        s = self.settings
        return Rules(strict=s.strict, allow_missing=s.allow_missing, min_decided=s.min_decided)

    def _suspects(self, run: Run) -> set[str]:
        found = suspects(run, self.baseline)
        return found | suspects(run, self.reference) if self.reference else found

    def _compared(self, run: Run, baseline: Baseline, name: str, rules: Rules, suspicious: set[str]) -> Comparison:
        comparison = compare(run, baseline, name=name, rules=rules)
        return comparison if self.unconfirmed is None else _without_verdict(comparison, suspicious, self.unconfirmed)

    def _measured_again(self, run: Run, suspicious: Iterable[str]) -> Run:
        tests = self._tests_again(run, set(suspicious))
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        fresh: list[Run] = []
        try:
            for number in range(FRESH_SESSIONS):
                if reporter is not None:
                    reporter.ensure_newline()
                    reporter.write_line(
                        f"gpuperf: {len(tests)} tests are measured again in a fresh process "
                        f"({number + 1} of {FRESH_SESSIONS}) ..."
                    )
                with tempfile.TemporaryDirectory(prefix="gpuperf-again-") as scratch:
                    arguments = arguments_again(self.config, tests, scratch)
                    directory = self.config.invocation_params.dir
                    fresh.append(run_session(arguments, only=tests, directory=directory))
        except SessionError as error:
            self.unconfirmed = f"the fresh process failed. {error}"
        return with_sessions_of(run, fresh)

    def _tests_again(self, run: Run, suspicious: set[str]) -> list[str]:
        known = {a.id for a in self.baseline.cases}
        calm = [c.test for c in run.cases if c.id in known and c.id not in suspicious]
        again = {c.test for c in run.cases if c.id in suspicious} | set(calm[:REFERENCES])
        return list(dict.fromkeys(c.test for c in run.cases if c.test in again))


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
    return msgspec.structs.replace(comparison, findings=findings)
