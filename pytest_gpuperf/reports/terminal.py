"""What a person reads after a run: the table, what needs attention, and the message of a regressed test."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from pytest_gpuperf.comparison.findings import Comparison, Finding
from pytest_gpuperf.records.model import Run
from pytest_gpuperf.reports.figures import (
    INTERVALS,
    FigureRow,
    both,
    change,
    change_in_words,
    confirmed,
    costs,
    counts,
    has_interval,
    headline,
    lines,
    margins,
    metric_name,
    moved_since,
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
from pytest_gpuperf.reports.why import why_of

MESSAGE_WIDTH = 76  # pytest puts "E   " before a failure's lines
NAMED = 3  # cases named beside a reason that many share


def render_table(comparison: Comparison | None, run: Run, width: int) -> str:
    """The table of a run, judged or not, with everything a reader must know beside it; why it fails comes after it."""
    shown = rows(comparison, run)
    names = Names.of(row.case for row in shown)
    blocks = [_judged(comparison, shown, width) if comparison else _measured(shown, width)]
    if comparison:
        blocks += [_lines(_waivers(comparison), width), _lines(_reasons(comparison, names), width)]
        blocks.append(_lines(_causes(comparison, names), width))
        blocks.append(_lines(_absent(comparison), width))
    blocks.append(_lines(_notes(run, names), width))
    if comparison:
        blocks.append(_lines(_outcome(comparison), width))
    return "\n\n".join("\n".join(block) for block in blocks if block)


def render_reference(reference: Comparison, width: int) -> str:
    """How far a run has moved from a pinned reference: what regressed or improved since, and the counts."""
    header = ("case", "reference", "now", "change", "verdict")
    cells = [
        (
            f"{f.case} {'' if f.evidence == 'time' else metric_name(f)}".rstrip(),
            *costs(f),
            change(f.verdict),
            _shown(f, reference),
        )
        for f in moved_since(reference)
    ]
    summary = prose(f"Since the reference {reference.baseline}: {counts(reference)}", width, hanging="  ")
    summary += _lines(confirmed(reference), width)
    return "\n".join([*summary, *(table(header, "lrrrl", {"": cells}, width) if cells else ())])


def explain(finding: Finding, comparison: Comparison, why: str | None = None) -> str:
    """The failure message of a test that its verdict fails, whatever that is; `why` it is so, if known."""
    sides = comparison.sides
    before, now = both(finding)
    where, here = (sides.base, sides.head) if sides else origins(finding)
    facts = prose(f"{headline(finding)}: {finding.case}", MESSAGE_WIDTH, hanging="  ")
    facts += _fact("base" if sides else "before", f"{before} ({where})")
    facts += _fact("head" if sides else "now", f"{now} ({here})")
    level = f" ({INTERVALS})" if has_interval(finding.verdict) else ""
    facts += _fact("change", f"{change_in_words(finding)}{level}; {tolerance(finding)}")
    facts += _fact("reason", finding.verdict.reason)
    facts += _fact("why", why.removeprefix("why: ")) if why is not None else ()
    for note in finding.notes:
        facts += _fact("note", note)
    for what, words in _next_steps(finding, comparison):
        facts += [f"  {what}:", f"    {inert(visible(shlex.join(words)))}"]
    return "\n".join(facts)


def _fact(name: str, text: str) -> list[str]:
    return prose(text, MESSAGE_WIDTH, f"  {name:<9} ", " " * 12)


def _next_steps(finding: Finding, comparison: Comparison) -> Iterator[tuple[str, list[str]]]:
    """What to type, and what that is for."""
    sides, test = comparison.sides, ["--", *comparison.invocation.arguments(finding.test)]
    if sides:
        yield "Look at it again, longer", ["gpuperf", "ab", sides.name, *sides.options, "--budget", "1800", *test]
        return
    yield _next_step(finding, comparison)
    if finding.verdict.word == "regressed" and finding.turns:
        ab = ["gpuperf", "ab", short(finding.turns.base), "--tests", "each", *test]
        yield "Else find the commit with git bisect, and at each step", ab


def _next_step(finding: Finding, comparison: Comparison) -> tuple[str, list[str]]:
    test = comparison.invocation.arguments(finding.test)
    again = ["pytest", "--gpuperf-compare", comparison.baseline, *test]
    record = ["gpuperf", "calibrate", "--sessions", "5", "--into", comparison.baseline, "--", *test]
    match finding.verdict.word:
        case "regressed":
            return "If the new figure is meant, accept it", record
        case "environment":
            return "If the other versions are meant, record the baseline with them", record
        case "machine":
            return "Keep other work off the machine, and run it again", again
        case _ if finding.turns:
            return "Keep other work off the machine, and compare the two in turns again", again
        case _:
            return "Record more sessions of the baseline's code", record


def _measured(shown: list[FigureRow], width: int) -> list[str]:
    cells = by_file((row.case, (row.throughput, row.latency)) for row in shown)
    return table(("case", "throughput", "latency p50"), "lrr", cells, width) if cells else []


def _judged(comparison: Comparison, shown: list[FigureRow], width: int) -> list[str]:
    cells = by_file(pair for row in shown for pair in _cells(row, comparison))
    return table(titles(comparison), "lrrrl", cells, width) if cells else []


def _cells(row: FigureRow, comparison: Comparison) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The row of a case, then one of each other figure that is not simply unchanged."""
    file, separator, _ = row.case.partition("::")
    for line in lines(row):
        title = row.case if line.name is None else f"{file + separator if separator else ''}  {line.name}"
        yield title, (*line.figures, _shown(line.finding, comparison) if line.finding else row.unjudged)


def _shown(finding: Finding, comparison: Comparison) -> str:
    """There is no colour: what fails stands out by its capitals. A margin that all share stands below the table."""
    if comparison.is_failure(finding):
        return word(finding).upper()
    one = " to " not in margins(comparison)
    return word(finding) if one and finding.evidence == "time" else verdict_cell(finding)


def _waivers(comparison: Comparison) -> Iterator[str]:
    waivers = {f.case: f.waiver for f in comparison.findings if f.waiver}
    yield from (f"waived until {waiver.until}: {case} ({waiver.reason})" for case, waiver in waivers.items())
    ended = comparison.expired
    yield from (f"waiver ended on {waiver.until}: {case} ({waiver.reason})" for case, waiver in ended.items())


def _reasons(comparison: Comparison, names: Names) -> Iterator[str]:
    """Why a case is not simply unchanged; a reason that many cases share stands once."""
    pairs = (
        (f"{word(f)}: {reason(f)}", f.case)
        for f in comparison.findings
        if f.verdict.word not in {"unchanged", "reference"} or f.turns
    )
    yield from _merge(pairs, names)


def _causes(comparison: Comparison, names: Names) -> Iterator[str]:
    """Why a case changed; a cause that many cases share stands once."""
    yield from _merge(((sentence, f.case) for f in comparison.findings if (sentence := why_of(f, comparison))), names)


def _absent(comparison: Comparison) -> Iterator[str]:
    yield from (f"vanished: {case}" for case in comparison.vanished)
    yield from (f"not measured: {case} ({why})" for case, why in comparison.unmeasured.items())
    if comparison.new:
        count = len(comparison.new)
        whom = "it" if count == 1 else "them"
        yield f"{count} new: not in {comparison.baseline}, so nothing was judged of {whom}."


def _notes(run: Run, names: Names) -> Iterator[str]:
    yield from _merge(((f"note: {note}", c.id) for c in run.cases for m in c.measurements for note in m.notes), names)


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


def _merge(pairs: Iterable[tuple[str, str]], names: Names) -> Iterator[str]:
    """Each sentence once, with the cases it holds for; sentences that differ in figures only count as one.

    Where they differ in a single figure, its range stands in the sentence; else the first sentence stands for all.
    """
    kinds: dict[str, dict[str, dict[str, None]]] = {}
    for sentence, case in pairs:
        kinds.setdefault(_FIGURE.sub("#", sentence), {}).setdefault(sentence, {})[case] = None
    for alike in kinds.values():
        sentences = list(alike)
        cases = [list(of) for of in alike.values()]
        common = _with_range(sentences)
        if common is not None:
            yield f"{common} ({names.some(chain.from_iterable(cases))})"
        else:
            others = names.some(chain.from_iterable(cases[1:]))
            yield f"{sentences[0]} ({names.some(cases[0])}); likewise, by other figures: {others}"


_FIGURE = re.compile(r"\d[\d.,]*(?<![.,])%?")


def _with_range(sentences: list[str]) -> str | None:
    """One sentence for several, with the range of the one figure in which they differ; None where they differ in more.

    ``... for more than 10% to 80% of the time ...``
    """
    figures = [_FIGURE.findall(sentence) for sentence in sentences]
    differ = [place for place, column in enumerate(zip(*figures, strict=True)) if len(set(column)) > 1]
    if not differ:
        return sentences[0]
    if len(differ) > 1:
        return None
    (place,) = differ
    ordered = sorted((row[place] for row in figures), key=lambda text: float(text.rstrip("%").replace(",", "")))
    parts = _FIGURE.split(sentences[0])
    figures[0][place] = f"{ordered[0]} to {ordered[-1]}"
    return "".join(chain.from_iterable(zip(parts, (*figures[0], ""), strict=True)))


@dataclass(frozen=True)
class Names:
    """How cases are named below the table: without their file, where all are in one."""

    files: frozenset[str]

    @classmethod
    def of(cls, cases: Iterable[str]) -> Names:
        return cls(frozenset(case.partition("::")[0] for case in cases))

    def one(self, case: str) -> str:
        file, separator, name = case.partition("::")
        return name if separator and len(self.files) == 1 and file in self.files else case

    def some(self, cases: Iterable[str]) -> str:
        """The first few, and how many more."""
        listed = [self.one(case) for case in dict.fromkeys(cases)]
        more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
        return ", ".join(listed[:NAMED]) + more


def _lines(sentences: Iterable[str], width: int) -> list[str]:
    return [line for sentence in sentences for line in prose(sentence, width, hanging="  ")]
