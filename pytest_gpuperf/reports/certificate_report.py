"""The instrument's certificate: as Markdown, as JSON, or as a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from pytest_gpuperf.records.certificate import FOUND, PARTS, Certificate, LeftOut, Level, Row, Selftest
from pytest_gpuperf.records.units import many
from pytest_gpuperf.reports.html.certificate_page import render_html

HEADER = "| slow-down | regressed | 95 % interval | inconclusive | unchanged | improved | suites failed |"


LIMITS = (
    "A slow-down is real extra work in the timed region; none is the suite against itself, where every *regressed* is "
    "a false alarm. All sessions were taken within the same hour: the machine's other hours, and other cards, are not "
    "in these figures. All rounds share one baseline and neighbouring rounds confirm each other, so the intervals are "
    "optimistic."
)


def render_markdown(certificate: Certificate) -> str:
    """A summary, a table for each part, and what was left out."""
    lines = [f"### gpuperf selftest: {certificate.environment.device.name}", "", summary(certificate), ""]
    for part in PARTS:
        rows = [row for row in certificate.rows if row.part == part]
        if rows:
            lines += [f"#### {part}", "", "| what | found | to reach | |", "| --- | --- | --- | --- |"]
            lines += [*map(_row, rows), ""]
    if certificate.gate is not None:
        lines += [*_of_gate(certificate.gate), ""]
    if certificate.left_out:
        lines += [f"Left out for want of time: {'; '.join(map(left_out, certificate.left_out))}.", ""]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(certificate.environment.software.items()))
    return "\n".join(
        [*lines, f"{certificate.created:%Y-%m-%d %H:%M} UTC, {certificate.seconds:.0f} s. Versions: {versions}."]
    )


def summary(certificate: Certificate) -> str:
    """How many rows hold, and which fail."""
    failed = [row for row in certificate.rows if row.word == "fails"]
    impossible = certificate.count("not possible")
    holds = certificate.count("holds")
    phrases = [f"{holds} of {many(len(certificate.rows), 'row')} {'holds' if holds == 1 else 'hold'}"]
    if failed:
        phrases.append(f"{len(failed)} {'fails' if len(failed) == 1 else 'fail'}")
    if impossible:
        phrases.append(f"{impossible} {'is' if impossible == 1 else 'are'} not possible here")
    names = f" Failed: {'; '.join(f'{row.part}: {row.what}' for row in failed)}." if failed else ""
    return f"{', '.join(phrases)}.{names}"


def left_out(step: LeftOut) -> str:
    """Which step, and how long it would take."""
    return f"{step.part}, {step.step} (about {step.seconds:.0f} s)"


def _row(row: Row) -> str:
    cells = (row.what, row.figure, row.bar, row.word if row.word != "fails" else "**fails**")
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"


def _of_gate(selftest: Selftest) -> Iterator[str]:
    """The gate's error rates by slow-down, and the limits of these figures."""
    smallest = selftest.detection_limit
    figure = f"{smallest:.0%}" if smallest is not None else "none of those injected"
    sizes = (
        f"{many(len(selftest.cases), 'case')}, {selftest.rounds} rounds, {selftest.baseline_sessions} baseline sessions"
    )
    yield f"{sizes}, {selftest.seconds / 60:.0f} min."
    yield from ("", HEADER, "| ---: | ---: | :--- | ---: | ---: | ---: | ---: |")
    yield from map(_line, selftest.levels)
    yield from ("", f"Smallest slow-down found in at least {FOUND:.0%} of its comparisons: {figure}.", "", LIMITS)


def _line(level: Level) -> str:
    def share(count: int) -> str:
        return f"{count / level.comparisons:.0%}"

    low, high = level.interval
    words = level.verdicts
    return (
        f"| {'none' if level.slowdown == 0 else f'{level.slowdown:.0%}'} "
        f"| {words.get('regressed', 0)} of {level.comparisons} | {low:.1%} to {high:.1%} "
        f"| {share(words.get('inconclusive', 0))} | {share(words.get('unchanged', 0))} "
        f"| {share(words.get('improved', 0))} | {level.failed_suites} of {level.suites} |"
    )


def render_json(certificate: Certificate) -> str:
    """Everything that was found, for programs."""
    return msgspec.json.format(msgspec.json.encode(certificate), indent=2).decode()


FORMATS: Mapping[str, Callable[[Certificate], str]] = {
    "markdown": render_markdown,
    "json": render_json,
    "html": lambda certificate: render_html(
        certificate, summary(certificate), LIMITS.replace("*", ""), list(map(left_out, certificate.left_out))
    ),
}
