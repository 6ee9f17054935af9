"""What comparing a run with a baseline finds: the records that every report is made from."""

from __future__ import annotations

import shlex

from pytest_gpuperf.causes.explain import Explanation
from pytest_gpuperf.records.invocation import Invocation
from pytest_gpuperf.records.model import Confirmation, Device, MetricKind, Record, Verdict, Waiver
from pytest_gpuperf.records.units import many

# "reference": a publication decides no more than that nothing is grossly slower, and that it does decide.
DECIDED = frozenset({"regressed", "improved", "unchanged", "environment", "machine", "reference"})


class Sides(Record, frozen=True, kw_only=True):
    """The two revisions, and what kept tests from being compared."""

    base: str  # "main (1a2b3c4d5e)"
    head: str
    options: tuple[str, ...] = ()  # that `gpuperf ab` was given, and needs again
    launches: int  # pairs of fresh processes; a decided case needed fewer
    seconds: float
    imported: tuple[str, ...] = ()  # which files each side measured, a sentence each
    apart: dict[str, str] = {}  # tests whose sides did not run together -> why
    failed: dict[str, str] = {}  # tests of head that failed, died or hung -> how: the comparison fails
    skipped: dict[str, str] = {}  # tests that head skipped -> why; they vanished, where the base has them
    one_sided: dict[str, str] = {}  # tests that only one side measured -> why: nothing to compare

    @property
    def name(self) -> str:
        """The base, as it was asked for."""
        return self.base.partition(" (")[0]

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the comparison fails, a sentence each."""
        count = len(self.failed)
        return (f"{count} {'test' if count == 1 else 'tests'} failed on {self.head}.",) if count else ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader must know, a sentence each."""
        return (
            *self.imported,
            *(f"sides ran apart: {test} ({why})" for test, why in self.apart.items()),
            *(f"failed: {test} ({why})" for test, why in self.failed.items()),
            *(f"skipped: {test} ({why})" for test, why in self.skipped.items()),
            *(f"not compared: {test} ({why})" for test, why in self.one_sided.items()),
        )


class InTurns(Record, frozen=True, kw_only=True):
    """The revision that a case was measured in turns with, and how often."""

    base: str  # "3f2a91c4d0"
    launches: int  # pairs of fresh processes


class Finding(Record, frozen=True, kw_only=True):
    """The verdict on one figure of one case, with what is shown beside it."""

    case: str
    test: str
    line: int | None = None
    evidence: MetricKind
    metric: str  # the figure shown for this evidence: "throughput", "peak_memory", "energy"
    baseline: float  # in the metric's unit: what the verdict's ratio is of. In turns, what the other revision took
    current: float
    tolerance: float  # of the metric, as a fraction
    baseline_sessions: int
    current_sessions: int
    verdict: Verdict
    screened: Verdict | None = None  # by the baseline alone, where other evidence decided
    turns: InTurns | None = None  # how it was confirmed in turns
    waiver: Waiver | None = None
    notes: tuple[str, ...] = ()

    @property
    def fails(self) -> bool:
        """Whether this finding fails the session whatever the rules: see `Comparison.is_failure`."""
        return self.verdict.word == "regressed" and self.waiver is None

    @property
    def is_slower_by_software(self) -> bool:
        """Whether other versions of software cost more, and nobody tolerates that."""
        return self.verdict.word == "environment" and self.verdict.ratio > 1 + self.tolerance and self.waiver is None


class Rules(Record, frozen=True, kw_only=True):
    """What makes a whole comparison fail."""

    strict: bool = False  # inconclusive fails
    allow_missing: bool = False  # vanished and unmeasured cases do not fail
    min_decided: float = 0.8  # the share of compared cases that must get a verdict
    allow_environment: bool = False  # slower by other versions of software, with no code changed, does not fail


class Comparison(Record, frozen=True, kw_only=True):
    """One run judged against one baseline: what every report is made from."""

    baseline: str  # where the baseline came from: a path
    device: Device
    changes: tuple[str, ...] = ()  # soft differences of the environment: "torch 2.13.0 -> 2.15.0"
    findings: tuple[Finding, ...]  # by case
    suite: Verdict | None = None  # of the suite as a whole, beyond what the canaries explain
    new: tuple[str, ...] = ()  # cases the baseline does not know
    vanished: tuple[str, ...] = ()  # cases of the baseline that are in scope and gone
    unmeasured: dict[str, str] = {}  # cases of the baseline whose tests ran but measured nothing -> why
    expired: dict[str, Waiver] = {}  # waivers whose day has passed
    explanations: dict[str, Explanation] = {}  # why, by case: of those that regressed or improved
    rules: Rules = Rules()
    confirmation: Confirmation | None = None  # of suspects
    invocation: Invocation = Invocation()  # of the run, or of HEAD's side
    recorded: str | None = None  # the file that holds the run
    into: str | None = None  # where what is recorded goes: `baseline`, unless that is a run
    sides: Sides | None = None  # two revisions in turns, and not a run beside a baseline

    @property
    def timed(self) -> tuple[Finding, ...]:
        """One finding a case: what counts as compared and decided."""
        return tuple(f for f in self.findings if f.evidence == "time")

    @property
    def decided(self) -> int:
        """How many of the compared cases got a verdict."""
        return sum(f.verdict.word in DECIDED for f in self.timed)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the session fails, a sentence each; empty where it does not."""
        return tuple(sentence for _, sentence in self._problems())

    @property
    def exit_code(self) -> int:
        """1 regressed, vanished, unmeasured; 6 nothing compared; 7 too little decided; else 0."""
        return next((code for code, _ in self._problems()), 0)

    def is_failure(self, finding: Finding) -> bool:
        """Whether this finding, under the rules, fails the session."""
        if finding.verdict.word == "inconclusive":
            return self.rules.strict
        if finding.verdict.word == "machine":
            return self.rules.strict and finding.waiver is None
        return finding.fails or (finding.is_slower_by_software and not self.rules.allow_environment)

    def _problems(self) -> list[tuple[int, str]]:
        found = [(1, sentence) for sentence in (self.sides.problems if self.sides else ())]
        regressed = sum(f.fails for f in self.findings)
        if regressed:
            found.append((1, f"{regressed} of {len(self.findings)} compared figures regressed."))
        if self.suite is not None and self.suite.word == "regressed":
            found.append((1, f"The suite as a whole regressed: {self.suite.reason}"))
        found += self._without_code()
        found += [
            (1, f"The waiver of {case} ended on {waiver.until}. Renew it or mend the case, then: gpuperf waive --help")
            for case, waiver in self.expired.items()
        ]
        open_cases = [f for f in self.timed if f.verdict.word == "inconclusive"]
        if self.rules.strict and open_cases:
            found.append((1, f"{len(open_cases)} of {len(self.timed)} cases are inconclusive, and strict is on."))
        if not self.rules.allow_missing:
            found += self._missing()
        share = self.rules.min_decided
        if not self.timed:
            none = "neither has a case of the other" if self.sides else f"no case of this run is in {self.baseline}"
            found.append((6, f"Nothing was compared: {none}."))
        elif self.decided < share * len(self.timed):
            count = f"{self.decided} of {len(self.timed)} compared cases got a verdict"
            found.append((7, f"{count}; at least {share:.0%} must. {self._advice}"))
        return found

    def _without_code(self) -> list[tuple[int, str]]:
        """What moved though no code changed: by other versions of software, or by the machine."""
        found: list[tuple[int, str]] = []
        suite, total = self.suite, len(self.findings)
        slower = sum(f.is_slower_by_software for f in self.findings)
        whole = suite is not None and suite.word == "environment" and suite.ratio > 1
        if (slower or whole) and not self.rules.allow_environment:
            what = f"{slower} of {total} compared figures cost" if slower else "The suite as a whole costs"
            versions = f" ({', '.join(self.changes)})" if self.changes else ""
            record = f"`gpuperf calibrate --sessions 5 --into {self._quoted}{self.invocation.tail()}`"
            allow = "--gpuperf-allow-environment (gpuperf compare: --allow-environment)"
            why = f"{what} more with other versions of software{versions}; no code changed."
            found.append((1, f"{why} If they are meant, record the baseline with them: {record}; or allow it: {allow}"))
        moved = sum(f.verdict.word == "machine" and f.waiver is None for f in self.findings)
        if (moved or (suite is not None and suite.word == "machine")) and self.rules.strict:
            what = f"{moved} of {total} compared figures" if moved else "The suite as a whole"
            why = f"{what} moved, and strict is on: neither code nor versions changed, so the machine did that."
            found.append((1, f"{why} Keep other work off the machine, and run again."))
        return found

    @property
    def _advice(self) -> str:
        """Which case least is known of, and what lets more cases be decided on this machine."""
        detectable = {f.case: f.verdict.detectable for f in self.timed if f.verdict.word == "inconclusive"}
        widths = {case: width for case, width in detectable.items() if width is not None}
        worst = max(widths, key=widths.__getitem__, default=None) if len(detectable) > 1 else None
        known = f"Least is known of {worst}: no change below {widths[worst]:.0%} could be told. " if worst else ""
        if self.sides:
            again = f"gpuperf ab {shlex.join([self.sides.name, *self.sides.options])} --budget 1800"
            return f"{known}Let more launches tell: `{again}{self.invocation.tail()}`"
        return f"{known}Each inconclusive case says what would decide it."

    @property
    def _quoted(self) -> str:
        return shlex.quote(self.into or self.baseline)

    @property
    def _drop(self) -> str:
        """What to do about cases that were meant to vanish."""
        if self.sides:
            return "allow it: --allow-missing"
        if self.recorded is None:
            return f"drop them: `gpuperf calibrate --into {self._quoted} --prune{self.invocation.tail()}`"
        return f"drop them: `gpuperf accept {shlex.quote(self.recorded)} --into {self._quoted} --prune`"

    def _missing(self) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = []
        if self.vanished:
            what = (
                f"{many(len(self.vanished), 'case')} of {'the baseline' if not self.sides else self.baseline} vanished"
            )
            found.append((1, f"{what}. If that is meant, {self._drop}"))
        if self.unmeasured:
            allow = "--allow-missing" if self.sides else "--gpuperf-allow-missing (gpuperf compare: --allow-missing)"
            what = f"Not measured: {many(len(self.unmeasured), 'case')} of the baseline, each with its reason above"
            found.append((1, f"{what}. If that is meant, allow it: {allow}"))
        return found
