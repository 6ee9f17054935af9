"""What a person reads after a run: the table, what needs attention, and the message of a regressed test."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from pytest_gpuperf.analysis.findings import Comparison, Finding
from pytest_gpuperf.analysis.sides import Sides
from pytest_gpuperf.reports.causes import why_of
from pytest_gpuperf.reports.figures import (
    INTERVALS,
    Row,
    both,
    change,
    change_in_words,
    confirmed,
    costs,
    counts,
    has_interval,
    headline,
    lines,
    metric_name,
    origins,
    published,
    reason,
    rows,
    short,
    suite_line,
    tells_intervals,
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
    shown = rows(comparison, run)
    blocks = [_judged(comparison, shown, width) if comparison else _measured(shown, width)]
    if comparison:
        blocks += [_lines(_waivers(comparison), width), _lines(_reasons(comparison), width)]
        blocks.append(_lines(_causes(comparison), width))
        blocks.append(_lines(_absent(comparison), width))
    blocks.append(_lines(_notes(run), width))
    if comparison:
        blocks.append(_lines(_outcome(comparison), width))
    return "\n\n".join("\n".join(block) for block in blocks if block)


def render_reference(reference: Comparison, width: int) -> str:
    """How far a run has moved from a pinned reference: what regressed or improved since, and the counts."""
    header = ("case", "reference", "now", "change", "verdict")
    moved = [
        (
            f"{f.case} {'' if f.evidence == 'time' else metric_name(f)}".rstrip(),
            *costs(f),
            change(f.verdict),
            _shown(f, reference),
        )
        for f in reference.findings
        if f.verdict.word not in {"unchanged", "inconclusive", "reference"}
    ]
    told = prose(f"Since the reference {reference.baseline}: {counts(reference)}", width, hanging="  ")
    told += _lines(confirmed(reference), width)
    return "\n".join([*told, *(table(header, "lrrrl", {"": moved}, width) if moved else ())])


def explain(finding: Finding, baseline_path: str, why: str | None = None, *, sides: Sides | None = None) -> str:
    """The failure message of a test that its verdict fails, whatever that is; `why` it is so, if known."""
    before, now = both(finding)
    where, here = (sides.base, sides.head) if sides else origins(finding)
    facts = prose(f"{headline(finding)}: {finding.case}", MESSAGE_WIDTH, hanging="  ")
    facts += _fact("base" if sides else "before", f"{before} ({where})")
    facts += _fact("head" if sides else "now", f"{now} ({here})")
    level = f" ({INTERVALS})" if has_interval(finding.verdict) else ""
    facts += _fact("change", f"{change_in_words(finding)}{level}; {tolerance(finding)}")
    facts += _fact("reason", finding.verdict.reason)
    facts += _fact("why", why.removeprefix("why: ")) if why is not None else ()
    facts += [f"  note      {inert(visible(note))}" for note in finding.notes]
    for what, words in _next_steps(finding, baseline_path, sides):
        facts += [f"  {what}:", f"    {inert(visible(shlex.join(words)))}"]
    return "\n".join(facts)


def _fact(what: str, said: str) -> list[str]:
    return prose(said, MESSAGE_WIDTH, f"  {what:<9} ", " " * 12)


def _next_steps(finding: Finding, baseline_path: str, sides: Sides | None) -> Iterator[tuple[str, list[str]]]:
    """What to type, and what that is for."""
    if sides:
        yield "Look at it again, longer", ["gpuperf", "ab", sides.name, "--budget", "1800", "--", finding.test]
        return
    yield _next_step(finding, baseline_path)
    if finding.verdict.word == "regressed" and finding.turns:
        ab = ["gpuperf", "ab", short(finding.turns.base), "--", finding.test]
        yield "Else find the commit with git bisect, and at each step", ab


def _next_step(finding: Finding, baseline_path: str) -> tuple[str, list[str]]:
    again = ["pytest", "--gpuperf-compare", baseline_path, finding.test]
    record = ["gpuperf", "calibrate", "--sessions", "5", "--into", baseline_path, "--", finding.test]
    match finding.verdict.word:
        case "regressed":
            return "If the new figure is meant, accept it", record
        case "environment":
            return "If the other versions are meant, record the baseline with them", record
        case "machine":
            return "Keep other work off the machine, and run it again", again
        case _ if finding.turns:
            return "Keep other work off the machine, and let them take turns again", again
        case _:
            return "Record more sessions of the baseline's code", record


def _measured(shown: list[Row], width: int) -> list[str]:
    cells = by_file((row.case, (row.throughput, row.latency)) for row in shown)
    return table(("case", "throughput", "latency p50"), "lrr", cells, width) if cells else []


def _judged(comparison: Comparison, shown: list[Row], width: int) -> list[str]:
    cells = by_file(pair for row in shown for pair in _cells(row, comparison))
    return table(titles(comparison), "lrrrl", cells, width) if cells else []


def _cells(row: Row, comparison: Comparison) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The row of a case, then one of each other figure that is not simply unchanged."""
    file, separator, _ = row.case.partition("::")
    for line in lines(row):
        title = row.case if line.name is None else f"{file + separator if separator else ''}  {line.name}"
        yield title, (*line.figures, _shown(line.finding, comparison) if line.finding else row.unjudged)


def _shown(finding: Finding, comparison: Comparison) -> str:
    """There is no colour: what fails stands out by its capitals."""
    return word(finding).upper() if comparison.is_failure(finding) else verdict_cell(finding)


def _waivers(comparison: Comparison) -> Iterator[str]:
    waivers = {f.case: f.waiver for f in comparison.findings if f.waiver}
    yield from (f"waived until {waiver.until}: {case} ({waiver.reason})" for case, waiver in waivers.items())
    ended = comparison.expired
    yield from (f"waiver ended on {waiver.until}: {case} ({waiver.reason})" for case, waiver in ended.items())


def _reasons(comparison: Comparison) -> Iterator[str]:
    """Why a case is not simply unchanged; what many cases share is said once."""
    yield from _shared(
        (f"{word(f)}: {reason(f)}", f.case)
        for f in comparison.findings
        if f.verdict.word not in {"unchanged", "reference"} or f.turns
    )


def _causes(comparison: Comparison) -> Iterator[str]:
    """Why a case changed; what many cases share is said once."""
    yield from _shared((sentence, f.case) for f in comparison.findings if (sentence := why_of(f, comparison)))


def _absent(comparison: Comparison) -> Iterator[str]:
    yield from (f"vanished: {case}" for case in comparison.vanished)
    yield from (f"not measured: {case} ({why})" for case, why in comparison.unmeasured.items())
    if comparison.new:
        count = len(comparison.new)
        whom = "it" if count == 1 else "them"
        yield f"{count} new: {comparison.baseline} does not know {whom}, so nothing was judged."


def _notes(run: Run) -> Iterator[str]:
    yield from _shared((f"note: {note}", c.id) for c in run.cases for m in c.measurements for note in m.notes)


def _outcome(comparison: Comparison) -> Iterator[str]:
    yield from (f"changed: {change}" for change in comparison.changes)
    yield from comparison.sides.remarks if comparison.sides else ()
    yield from confirmed(comparison)
    yield from published(comparison)
    if tells_intervals(comparison):
        yield INTERVALS
    if comparison.suite:
        yield suite_line(comparison.suite)
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
