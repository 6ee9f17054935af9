"""The comparison as Markdown, for a pull request's comment and a job's summary: what failed first, the rest folded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from pytest_gpuperf.comparison.findings import Comparison
from pytest_gpuperf.comparison.judged import JudgedRun
from pytest_gpuperf.records.model import Device, Run
from pytest_gpuperf.records.units import many
from pytest_gpuperf.reports.figures import (
    INTERVALS,
    FigureRow,
    acquitted,
    change_in_words,
    confirmed,
    counts,
    lines,
    metric_name,
    moved_since,
    published,
    reason,
    rows,
    suite_line,
    tells_intervals,
    titles,
    verdict_cell,
    word,
)
from pytest_gpuperf.reports.tables import visible
from pytest_gpuperf.reports.why import why_of

GITHUB = 65_536  # characters of a comment, beyond which it is refused
LARGEST = 65_000
CLOSING = 200  # kept free for each part's title, its count and its end
PARTS = 20  # as many parts at most; a part takes no more than half of what is left, unless it is folded
HARMLESS = frozenset(" -.,/+%=()")  # punctuation that Markdown and HTML leave alone inside a line
LONGEST = 500  # characters of a name or a sentence; a name may have 4,096, and 16 of those would fill a comment
MEASURED = ("case", "throughput", "latency p50")
RULE = "| :--- | ---: | ---: | ---: | :--- |"
REASONS = 10  # sentences below a table
_WWW = re.compile(r"www\.", re.IGNORECASE)
# A row stands in the first of these that one of its verdicts belongs to.
LOUD = ("regressed", "environment", "machine", "inconclusive", "waived", "improved")
QUIET = ("unchanged", "reference", "new", "not compared")


class MarkdownPage:
    """Blocks of text, and the room that is left."""

    def __init__(self, largest: int = LARGEST) -> None:
        self._blocks: list[str] = []
        self._room = largest - PARTS * CLOSING

    def text(self) -> str:
        """All of it."""
        return "\n\n".join(self._blocks)

    def say(self, sentence: str) -> None:
        """A line that must be there; the caller knows that it is short."""
        self._blocks.append(sentence)
        self._room -= _size(sentence)

    def items(self, lines: Iterable[str], most: int | None = None) -> None:
        """A list, of at most so many."""
        every = list(lines)
        kept = self._fitting([[line] for line in (every if most is None else every[:most])], self._room // 2)
        if every:
            rest = len(every) - len(kept)
            self._add([line for (line,) in kept] + ([f"- and {rest:,} more"] if rest else []))

    def table(self, title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, folded: bool = False) -> None:
        """A table under its title, which says how many there are; a row is one or several lines."""
        if not rows:
            return
        kept = self._fitting(rows, self._room if folded else self._room // 2)
        rest = len(rows) - len(kept)
        if folded:
            self._blocks.append(f"<details><summary>{len(rows):,} {title}</summary>")
        else:
            self._blocks.append(f"**{len(rows):,} {title}**")
        if kept:
            self._add([*head, *(line for row in kept for line in row)])
        if rest:
            self._blocks.append(f"{rest:,} {'more ' if kept else ''}{title}, for which there is no room here.")
        if folded:
            self._blocks.append("</details>")

    def _fitting(self, rows: Sequence[Sequence[str]], room: int) -> Sequence[Sequence[str]]:
        for number, row in enumerate(rows):
            room -= sum(_size(line) + 1 for line in row)
            if room < 0:
                return rows[:number]
        return rows

    def _add(self, lines: Sequence[str]) -> None:
        self._blocks.append("\n".join(lines))
        self._room -= sum(_size(line) + 1 for line in lines)


def _size(text: str) -> int:
    """Characters as the strictest counts them: those beyond the first plane are two."""
    return len(text) + sum(c > "\uffff" for c in text) if not text.isascii() else len(text)


def render_markdown(judged: JudgedRun, largest: int = LARGEST) -> str:
    """Title, why it fails, the regressed cases with reasons and causes, the suite, what is missing; the rest folded.

    It has fewer than `largest` characters: what there is no room for is counted.
    """
    comparison = judged.comparison
    page = MarkdownPage(largest)
    page.say(marker(comparison.device))
    page.say(f"### gpuperf: {'failed' if judged.exit_code else 'passed'}")
    level = f" ({escaped(INTERVALS)})" if tells_intervals(comparison) else ""
    page.say(
        f"{escaped(counts(comparison))}. Against {code(comparison.baseline)} on {_name(comparison.device)}{level}."
    )
    page.items(f"- {escaped(problem)}" for problem in judged.problems)
    shown = _by_word(rows(comparison, judged.run))
    _loud(page, comparison, "regressed", shown)
    page.items(_suite(comparison))
    page.items(f"- vanished: {code(case)}" for case in comparison.vanished)
    page.items(f"- not measured: {code(case)} ({escaped(why)})" for case, why in _unmeasured(judged).items())
    for verdict in LOUD[1:]:
        _loud(page, comparison, verdict, shown)
    page.items(_remarks(judged))
    _reference(page, judged.reference)
    for verdict in QUIET:
        page.table(verdict, (_line(titles(comparison)), RULE), _lines(shown.get(verdict, ())), folded=True)
    return page.text()


def render_recorded(run: Run, largest: int = LARGEST) -> str:
    """A run that was not judged: its figures."""
    page = MarkdownPage(largest)
    page.say(marker(run.environment.device))
    page.say("### gpuperf: recorded")
    page.say(f"{many(len(run.cases), 'case')} on {_name(run.environment.device)}, judged against nothing.")
    page.items(f"- not measured: {code(test)} ({escaped(why)})" for test, why in run.scope.unmeasured.items())
    cells = ((code(r.case), escaped(r.throughput), escaped(r.latency)) for r in rows(None, run))
    page.table("measured", (_line(MEASURED), "| :--- | ---: | ---: |"), [[_line(c)] for c in cells], folded=True)
    return page.text()


def marker(device: Device) -> str:
    """A line that no reader sees: whoever comments finds its earlier comment by it. One for each kind of device."""
    return f"<!-- gpuperf: {device.slug} -->"


def escaped(text: str) -> str:
    """Text that is nothing but text: whatever could mean something to Markdown or HTML becomes an entity.

    GitHub looks for mentions and issue numbers after it has decoded entities: a character of no width breaks them up.
    """
    shown = _entities(text).replace("&#58; ", ": ")  # before a space it is neither an emoji's nor an address's
    return _WWW.sub("www&#46;", shown).replace("&#64;", "&#64;&#8203;").replace("&#35;", "&#35;&#8203;")


def code(name: str) -> str:
    """A name: in code nothing becomes a mention, an emoji or a link to an issue, and it can be copied."""
    return f"<code>{_entities(name)}</code>"


def _entities(text: str) -> str:
    shown = visible(text)
    if len(shown) > LONGEST:
        half = LONGEST // 2
        shown = f"{shown[:half]} ... {shown[-half:]}"
    return "".join(c if c.isalnum() or c in HARMLESS or not c.isascii() else f"&#{ord(c)};" for c in shown)


def _name(device: Device) -> str:
    return escaped(device.name)


def _by_word(shown: Iterable[FigureRow]) -> dict[str, list[FigureRow]]:
    found: dict[str, list[FigureRow]] = {}
    for row in shown:
        words = {word(f) for f in row.findings} or {row.unjudged}
        found.setdefault(next(w for w in (*LOUD, *QUIET) if w in words), []).append(row)
    return found


def _loud(page: MarkdownPage, comparison: Comparison, verdict: str, shown: dict[str, list[FigureRow]]) -> None:
    of = shown.get(verdict, [])
    page.table(verdict, (_line(titles(comparison)), RULE), _lines(of))
    page.items(_sentences(of, verdict, comparison), most=REASONS)


def _lines(shown: Sequence[FigureRow]) -> list[list[str]]:
    """The lines of each row: what stays together."""
    return [list(_cells(row)) for row in shown]


def _cells(row: FigureRow) -> Iterator[str]:
    for line in lines(row):
        title = code(row.case) if line.name is None else f"&emsp;{line.name}"
        verdict = verdict_cell(line.finding) if line.finding else row.unjudged
        yield _line((title, *map(escaped, (*line.figures, verdict))))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _sentences(shown: Iterable[FigureRow], verdict: str, comparison: Comparison) -> Iterator[str]:
    """Why each figure got its verdict, and the likely cause of the change."""
    for row in shown:
        for finding in row.findings:
            if word(finding) == verdict:
                waived = finding.waiver
                until = f" (waived until {waived.until}: {escaped(waived.reason)})" if waived else ""
                why = why_of(finding, comparison)
                cause = f"<br>{escaped(why)}" if why else ""
                yield f"- {code(row.case)} {metric_name(finding)}: {escaped(reason(finding))}{until}{cause}"


def _suite(comparison: Comparison) -> Iterator[str]:
    if comparison.suite is not None:
        yield f"- {escaped(suite_line(comparison.suite))}"


def _unmeasured(judged: JudgedRun) -> dict[str, str]:
    """Cases of the baseline, and tests that failed and that no baseline knows: pytest fails because of those too."""
    failed = {test: why for test, why in judged.run.scope.unmeasured.items() if why.startswith("failed")}
    return {**failed, **judged.comparison.unmeasured}


def _remarks(judged: JudgedRun) -> Iterator[str]:
    comparison = judged.comparison
    loud = {"regressed", "environment", "machine", "inconclusive", "improved"}  # their own sentences name the waiver
    waivers = {f.case: f.waiver for f in comparison.findings if f.waiver and f.verdict.word not in loud}
    yield from (f"- waived until {w.until}: {code(case)} ({escaped(w.reason)})" for case, w in waivers.items())
    ended = comparison.expired
    yield from (f"- waiver ended on {w.until}: {code(case)} ({escaped(w.reason)})" for case, w in ended.items())
    yield from (f"- changed: {escaped(what)}" for what in comparison.changes)
    yield from (f"- {escaped(what)}" for what in (comparison.sides.remarks if comparison.sides else ()))
    yield from (f"- unchanged: {code(f.case)}: {escaped(reason(f))}" for f in acquitted(comparison))
    yield from (f"- {escaped(what)}" for what in (*confirmed(comparison), *published(comparison)))
    unvalidated = (c.id for c in judged.run.cases if any(m.unvalidated for m in c.measurements))
    yield from (f"- unvalidated: {code(case)}" for case in unvalidated)


def _reference(page: MarkdownPage, reference: Comparison | None) -> None:
    if reference is not None:
        page.say(f"**Since the reference {code(reference.baseline)}**: {escaped(counts(reference))}.")
        page.items(f"- {escaped(what)}" for what in confirmed(reference))
        moved = moved_since(reference)
        page.items(f"- {word(f)}: {code(f.case)} {metric_name(f)}: {escaped(change_in_words(f))}" for f in moved)
