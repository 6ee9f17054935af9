"""The comparison as Markdown, for a pull request: what regressed first, the rest folded away."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_gpuperf.analysis.comparison import Comparison, Finding
from pytest_gpuperf.reports.figures import NONE, Row, change, counts, figure, metric_name, rows, word
from pytest_gpuperf.reports.judged import Judged
from pytest_gpuperf.reports.tables import visible

HARMLESS = frozenset(" -.,/+%=()")  # punctuation that Markdown and HTML leave alone inside a line
HEADER = ("case", "throughput", "latency p50", "change", "verdict")
RULE = "| :--- | ---: | ---: | ---: | :--- |"


def render_markdown(judged: Judged) -> str:
    """A title, why it fails, the regressed cases with their reasons, and everything else in a folded table."""
    comparison = judged.comparison
    shown = rows(comparison, judged.run)
    loud = [r for r in shown if any(f.verdict.word == "regressed" for f in r.findings)]
    quiet = [r for r in shown if r not in loud] if loud else shown
    parts = [
        f"### gpuperf: {'failed' if judged.exit_code else 'passed'}",
        f"{escaped(counts(comparison))}. Against {code(comparison.baseline)} on {escaped(comparison.device.name)}.",
        *_list(escaped(problem) for problem in judged.problems),
        *_section("Regressed", loud),
        *_list(_sentences(loud)),
        *_list(_remarks(comparison)),
        *_list(f"unvalidated: {code(c.id)}" for c in judged.run.cases if any(m.unvalidated for m in c.measurements)),
        *_reference(judged.reference),
        *_folded(quiet),
    ]
    return "\n\n".join(parts)


def escaped(text: str) -> str:
    """Text that is nothing but text: whatever could mean something to Markdown or HTML becomes an entity."""
    return "".join(c if c.isalnum() or c in HARMLESS or not c.isascii() else f"&#{ord(c)};" for c in visible(text))


def code(name: str) -> str:
    """A name: in code nothing becomes a mention, an emoji or a link to an issue."""
    return f"<code>{escaped(name)}</code>"


def _section(title: str, shown: list[Row]) -> list[str]:
    return [f"**{title}**", _table(shown)] if shown else []


def _folded(shown: list[Row]) -> list[str]:
    if not shown:
        return []
    return [f"<details><summary>{len(shown)} other cases</summary>", _table(shown), "</details>"]


def _table(shown: list[Row]) -> str:
    lines = [_line(HEADER), RULE]
    for row in shown:
        first, *others = row.findings or (None,)
        verdict = ("new" if row.new else "not compared") if first is None else word(first)
        moved = NONE if first is None else change(first, "throughput")
        lines.append(_line((code(row.case), *map(escaped, (row.throughput, row.latency, moved, verdict)))))
        lines += [_other(f) for f in others if f and f.verdict.word != "unchanged"]
    return "\n".join(lines)


def _other(finding: Finding) -> str:
    name = f"&emsp;{metric_name(finding)}"
    return _line((name, *map(escaped, (figure(finding.metric, finding.current), "", change(finding), word(finding)))))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _list(sentences: Iterable[str]) -> list[str]:
    lines = [f"- {sentence}" for sentence in sentences]
    return ["\n".join(lines)] if lines else []


def _sentences(shown: list[Row]) -> Iterable[str]:
    for row in shown:
        for finding in row.findings:
            if finding.verdict.word == "regressed":
                waived = finding.waiver
                until = f" (waived until {waived.until}: {escaped(waived.reason)})" if waived else ""
                yield f"{code(row.case)} {metric_name(finding)}: {escaped(finding.verdict.reason)}{until}"


def _remarks(comparison: Comparison) -> Iterable[str]:
    yield from (f"vanished: {code(case)}" for case in comparison.vanished)
    yield from (f"not measured: {code(case)} ({escaped(why)})" for case, why in comparison.unmeasured.items())
    waivers = {f.case: f.waiver for f in comparison.findings if f.waiver and f.verdict.word != "regressed"}
    yield from (f"waived until {w.until}: {code(case)} ({escaped(w.reason)})" for case, w in waivers.items())
    ended = comparison.expired
    yield from (f"waiver ended on {w.until}: {code(case)} ({escaped(w.reason)})" for case, w in ended.items())
    if comparison.suite is not None:
        yield f"suite {comparison.suite.word}: {escaped(comparison.suite.reason)}"
    yield from (f"changed: {escaped(what)}" for what in comparison.changes)


def _reference(reference: Comparison | None) -> list[str]:
    if reference is None:
        return []
    moved = [f for f in reference.findings if f.verdict.word == "regressed"]
    said = [f"{code(f.case)} {metric_name(f)}: {escaped(change(f))}" for f in moved]
    return [f"**Since the reference {code(reference.baseline)}**: {escaped(counts(reference))}.", *_list(said)]
