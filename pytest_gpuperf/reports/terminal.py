"""What a person reads after a run: the table, what needs attention, and the message of a regressed test."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

from pytest_gpuperf.analysis.findings import Comparison, Finding
from pytest_gpuperf.analysis.sides import Sides
from pytest_gpuperf.reports.causes import why_of
from pytest_gpuperf.reports.figures import NONE, Row, change, counts, figure, metric_name, rows, sessions, titles, word
from pytest_gpuperf.reports.tables import by_file, inert, prose, table, visible
from pytest_gpuperf.results.records import Run
from pytest_gpuperf.results.units import significant

MESSAGE_WIDTH = 76  # pytest puts "E   " before a failure's lines
NAMED = 3  # cases named beside a reason that many share


def render_table(comparison: Comparison | None, run: Run, width: int) -> str:
    """The table of a run, judged or not, with everything a reader must know beside it; why it fails comes after it."""
    shown = rows(comparison, run)
    blocks = [_judged(shown, titles(comparison), width) if comparison else _measured(shown, width)]
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
    header = ("case", "reference", "current", "change", "verdict")
    moved = [
        (
            f"{f.case} {'' if f.evidence == 'time' else metric_name(f)}".rstrip(),
            figure(f.metric, f.baseline),
            figure(f.metric, f.current),
            change(f),
            _shown(f),
        )
        for f in reference.findings
        if f.verdict.word in {"regressed", "improved"}
    ]
    lines = prose(f"Since the reference {reference.baseline}: {counts(reference)}", width, hanging="  ")
    return "\n".join([*lines, *(table(header, "lrrrl", {"": moved}, width) if moved else ())])


def explain(finding: Finding, baseline_path: str, why: str | None = None, *, sides: Sides | None = None) -> str:
    """The failure message of a test that regressed, or is inconclusive where that fails; `why` it is so, if known."""
    counted = sessions(finding.baseline_sessions), sessions(finding.current_sessions)
    (before, then), (after, now) = zip(
        ("base", "head") if sides else ("baseline", "current"),
        (sides.base, sides.head) if sides else counted,
        strict=True,
    )
    facts = {
        before: f"{figure(finding.metric, finding.baseline)} ({then})",
        after: f"{figure(finding.metric, finding.current)} ({now})",
        "change": f"{change(finding)}; the tolerance is {significant(finding.tolerance * 100)}%",
    }
    lines = prose(f"{metric_name(finding)} {finding.verdict.word}: {finding.case}", MESSAGE_WIDTH, hanging="  ")
    lines += [f"  {what:<9} {said}" for what, said in facts.items()]
    lines += prose(finding.verdict.reason, MESSAGE_WIDTH, "  reason    ", " " * 12)
    if why is not None:
        lines += prose(why.removeprefix("why: "), MESSAGE_WIDTH, "  why       ", " " * 12)
    lines += [f"  note      {inert(visible(note))}" for note in finding.notes]
    if sides:
        what, words = "Look at it again, longer", ["gpuperf", "ab", sides.name, "--budget", "1800", "--", finding.test]
    else:
        regressed = finding.verdict.word == "regressed"
        what = "If the new figure is meant, accept it" if regressed else "Record more sessions of the baseline's code"
        words = ["gpuperf", "calibrate", "--sessions", "5", "--into", baseline_path, "--", finding.test]
    command = shlex.join(words)
    lines += [f"  {what}:", f"    {inert(visible(command))}"]
    return "\n".join(lines)


def _measured(shown: list[Row], width: int) -> list[str]:
    cells = by_file((row.case, (row.throughput, row.latency)) for row in shown)
    return table(("case", "throughput", "latency p50"), "lrr", cells, width) if cells else []


def _judged(shown: list[Row], header: Sequence[str], width: int) -> list[str]:
    cells = by_file(pair for row in shown for pair in _cells(row))
    return table(header, "lrrrl", cells, width) if cells else []


def _cells(row: Row) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The row of a case, then one of each other figure that is not simply unchanged."""
    figures = row.throughput, row.latency
    if not row.findings:
        yield row.case, (*figures, NONE, "new" if row.new else "not compared")
        return
    first, *others = row.findings
    yield row.case, (*figures, change(first, "throughput"), _shown(first))
    file, separator, _ = row.case.partition("::")
    for other in others:
        if other.verdict.word != "unchanged":
            figure_of = (figure(other.metric, other.current), "", change(other), _shown(other))
            yield f"{file + separator if separator else ''}  {metric_name(other)}", figure_of


def _shown(finding: Finding) -> str:
    """There is no colour: what fails stands out by its capitals."""
    return word(finding).upper() if finding.fails else word(finding)


def _waivers(comparison: Comparison) -> Iterator[str]:
    waivers = {f.case: f.waiver for f in comparison.findings if f.waiver}
    yield from (f"waived until {waiver.until}: {case} ({waiver.reason})" for case, waiver in waivers.items())
    ended = comparison.expired
    yield from (f"waiver ended on {waiver.until}: {case} ({waiver.reason})" for case, waiver in ended.items())


def _reasons(comparison: Comparison) -> Iterator[str]:
    """Why a case is not simply unchanged; what many cases share is said once."""
    said = [(f"{word(f)}: {f.verdict.reason}", f.case) for f in comparison.findings if f.verdict.word != "unchanged"]
    yield from _shared(said)


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
    yield from (f"changed: {change}" for change in comparison.changes)
    yield from comparison.sides.remarks if comparison.sides else ()
    if comparison.suite:
        yield f"suite {comparison.suite.word}: {comparison.suite.reason}"
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
