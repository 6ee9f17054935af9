"""What a person reads after a run: the table, what needs attention, and the message of a regressed test."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from pytest_gpuperf.analysis.findings import Comparison, Finding
from pytest_gpuperf.analysis.sides import Sides
from pytest_gpuperf.reports.causes import why_of
from pytest_gpuperf.reports.figures import (
    COSTS,
    LEGEND,
    NONE,
    Row,
    acquitted,
    before_and_now,
    both_changes,
    change,
    confirmed,
    counts,
    measured,
    measured_by,
    metric_name,
    reason,
    rows,
    titles,
    tolerance,
    verdict_cell,
    word,
)
from pytest_gpuperf.reports.tables import by_file, inert, prose, table, visible
from pytest_gpuperf.results.records import Run

MESSAGE_WIDTH = 76  # pytest puts "E   " before a failure's lines
NAMED = 3  # cases named beside a reason that many share


def render_table(comparison: Comparison | None, run: Run, width: int) -> str:
    """The table of a run, judged or not, with everything a reader must know beside it; why it fails comes after it."""
    blocks = [_judged(comparison, run, width) if comparison else _measured(run, width)]
    if comparison:
        blocks.append(_lines([LEGEND] if comparison.findings else [], width))
        blocks += [_lines(_waivers(comparison), width), _lines(_reasons(comparison), width)]
        blocks.append(_lines(_causes(comparison), width))
        blocks.append(_lines(_absent(comparison), width))
    blocks.append(_lines(_notes(run), width))
    if comparison:
        blocks.append(_lines(_outcome(comparison), width))
    return "\n\n".join("\n".join(block) for block in blocks if block)


def render_reference(reference: Comparison, width: int) -> str:
    """How far a run has moved from a pinned reference: what changed since, and the counts."""
    header = ("case", "reference", "now", "change", "verdict")
    found = [
        (
            f"{f.case} {'' if f.evidence == 'time' else metric_name(f)}".rstrip(),
            *before_and_now(f),
            change(f.verdict),
            _shown(f, reference),
        )
        for f in reference.findings
        if f.verdict.word in {"regressed", "improved", "environment"}
    ]
    lines = prose(f"Since the reference {reference.baseline}: {counts(reference)}", width, hanging="  ")
    lines += _lines(confirmed(reference), width)
    return "\n".join([*lines, *(table(header, "lrrrl", {"": found}, width) if found else ())])


def explain(finding: Finding, baseline_path: str, why: str | None = None, *, sides: Sides | None = None) -> str:
    """The failure message of a test that regressed, or whose verdict fails by the rules; `why` it is so, if known."""
    before, now = before_and_now(finding)
    was, became = (sides.base, sides.head) if sides else measured_by(finding)
    changes = both_changes(finding, sides.base if sides else "the baseline")
    headline = f"{COSTS[finding.evidence]} {_HEADLINES.get(finding.verdict.word, finding.verdict.word)}"
    lines = [
        *prose(f"{headline}: {finding.case}", MESSAGE_WIDTH, hanging="  "),
        *_fact("base" if sides else "before", f"{before} ({was})"),
        *_fact("head" if sides else "now", f"{now} ({became})"),
        *_fact("change", f"{changes}; the tolerance is {tolerance(finding)}"),
        *_fact("reason", finding.verdict.reason),
    ]
    if why is not None:
        lines += _fact("why", why.removeprefix("why: "))
    lines += [f"  note      {inert(visible(note))}" for note in finding.notes]
    for what, words in _next_steps(finding, baseline_path, sides):
        lines += [f"  {what}:", f"    {inert(visible(shlex.join(words)))}"]
    return "\n".join(lines)


_HEADLINES = {"environment": "is worse with other software", "machine": "is worse on this machine"}
_RECORD = {
    "regressed": "If the new figure is meant, accept it",
    "environment": "If the new software is meant, record a new baseline",
    "machine": "No code changed. If the machine is meant to be slower now, record more of it",
    "inconclusive": "Record more sessions of the baseline's code",
}


def _fact(name: str, said: str) -> list[str]:
    return prose(said, MESSAGE_WIDTH, f"  {name:<9} ", " " * 12)


def _next_steps(finding: Finding, baseline: str, sides: Sides | None) -> Iterator[tuple[str, list[str]]]:
    """What to type: accept what is meant, or look where it came from."""
    measure = ["--", finding.test]
    if sides:
        yield "Look at it again, longer", ["gpuperf", "ab", sides.name, "--budget", "1800", *measure]
        return
    yield _RECORD[finding.verdict.word], ["gpuperf", "calibrate", "--sessions", "5", "--into", baseline, *measure]
    if finding.turns and finding.verdict.word == "regressed":
        yield "Else find the commit: git bisect, and at each step", ["gpuperf", "ab", finding.turns.base, *measure]


def _measured(run: Run, width: int) -> list[str]:
    cells = by_file((case, figures) for case, *figures in measured(run))
    return table(("case", "throughput", "latency p50"), "lrr", cells, width) if cells else []


def _judged(comparison: Comparison, run: Run, width: int) -> list[str]:
    cells = by_file(pair for row in rows(comparison, run) for pair in _cells(row, comparison))
    return table(titles(comparison), "lrrrl", cells, width) if cells else []


def _cells(row: Row, comparison: Comparison) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The row of a case, then one of each other figure that is not simply unchanged."""
    if not row.findings:
        yield row.case, (row.before, row.now, NONE, "new" if row.new else "not compared")
        return
    first, *others = row.findings
    yield row.case, (row.before, row.now, change(first.verdict), _shown(first, comparison))
    file, separator, _ = row.case.partition("::")
    for other in others:
        if other.verdict.word != "unchanged":
            cells = *before_and_now(other), change(other.verdict), _shown(other, comparison)
            yield f"{file + separator if separator else ''}  {metric_name(other)}", cells


def _shown(finding: Finding, comparison: Comparison) -> str:
    """There is no colour: what fails stands out by its capitals."""
    return word(finding).upper() if comparison.fails(finding) else verdict_cell(finding)


def _waivers(comparison: Comparison) -> Iterator[str]:
    waivers = {f.case: f.waiver for f in comparison.findings if f.waiver}
    yield from (f"waived until {waiver.until}: {case} ({waiver.reason})" for case, waiver in waivers.items())
    ended = comparison.expired
    yield from (f"waiver ended on {waiver.until}: {case} ({waiver.reason})" for case, waiver in ended.items())


def _reasons(comparison: Comparison) -> Iterator[str]:
    """Why a case is not simply unchanged; what many cases share is said once."""
    told = [f for f in comparison.findings if f.verdict.word != "unchanged"]
    yield from _shared((f"{word(f)}: {reason(f)}", f.case) for f in [*told, *acquitted(comparison)])


def _causes(comparison: Comparison) -> Iterator[str]:
    """Why a case changed; what many cases share is said once."""
    yield from _shared((sentence, f.case) for f in comparison.findings if (sentence := why_of(f, comparison)))


def _absent(comparison: Comparison) -> Iterator[str]:
    yield from (f"vanished: {case}" for case in comparison.vanished)
    yield from (f"not measured: {case} ({why})" for case, why in comparison.unmeasured.items())
    if comparison.new:
        many = len(comparison.new)
        yield f"{many} new: {comparison.baseline} does not know {'it' if many == 1 else 'them'}, so nothing was judged."


def _notes(run: Run) -> Iterator[str]:
    yield from _shared((f"note: {note}", c.id) for c in run.cases for m in c.measurements for note in m.notes)


def _outcome(comparison: Comparison) -> Iterator[str]:
    yield from (f"changed: {what}" for what in comparison.changes)
    yield from comparison.sides.remarks if comparison.sides else ()
    if comparison.suite:
        yield f"suite {comparison.suite.word}: {comparison.suite.reason}"
    yield from confirmed(comparison)
    yield counts(comparison)


def _shared(said: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Each sentence once, with the cases it is said of."""
    cases: dict[str, dict[str, None]] = {}
    for sentence, case in said:
        cases.setdefault(sentence, {})[case] = None
    for sentence, of in cases.items():
        named = ", ".join(list(of)[:NAMED])
        more = f" and {len(of) - NAMED} more" if len(of) > NAMED else ""
        yield f"{sentence} ({named}{more})"


def _lines(sentences: Iterable[str], width: int) -> list[str]:
    return [line for sentence in sentences for line in prose(sentence, width, hanging="  ")]
