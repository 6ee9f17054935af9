"""From records to text that people review: stable order, rounded figures, one line a session and a series.

A baseline is sorted (cases by id, sessions by time), so that the same content is always the same text and one more
session is one more line in each case. A run keeps the order in which it was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, cast

import msgspec

from pytest_gpuperf.records.envelope import BASELINE, RUN, VERSION
from pytest_gpuperf.records.model import Accepted, Baseline, Case, Environment, Run, Session

BASELINE_DIGITS = 6
RUN_DIGITS = 9
PROFILE_DIGITS = 3


class SelfNamed(Protocol):
    """A record that is a file by itself."""

    @property
    def format(self) -> str:
        """Its kind."""
        ...

    @property
    def version(self) -> int:
        """Of that kind."""
        ...


def render_baseline(baseline: Baseline) -> bytes:
    """The text of a baseline file."""
    sessions = in_order(baseline.sessions)
    rank = {s.id: i for i, s in enumerate(sessions)}
    cases = sorted(baseline.cases, key=lambda c: c.id)
    head: dict[str, object] = {"format": BASELINE, "version": VERSION, "provenance": baseline.provenance}
    if baseline.source is not None:
        head["source"] = baseline.source
    return _file(
        head,
        _environment(baseline.environment),
        (_session(s, BASELINE_DIGITS) for s in sessions),
        (_accepted(c, rank) for c in cases),
    )


def render_run(run: Run) -> bytes:
    """The text of a run file."""
    return _file(
        {"format": RUN, "version": VERSION},
        _environment(run.environment),
        (_session(s, RUN_DIGITS) for s in run.sessions),
        (_case(c) for c in run.cases),
        f'  "scope": {_line(_plain(run.scope))},\n{_confirmation(run)}',
    )


def render_record(record: SelfNamed) -> str:
    """The text of a file that is one record, and says which kind it is."""
    plain = {"format": record.format, "version": record.version, **msgspec.to_builtins(record, order="deterministic")}
    return msgspec.json.format(msgspec.json.encode(rounded(plain, RUN_DIGITS)), indent=1).decode() + "\n"


def in_order(sessions: Iterable[Session]) -> list[Session]:
    """Oldest first."""
    return sorted(sessions, key=lambda s: (s.time, s.id))


def rounded(figures: Any, digits: int) -> Any:
    """The same plain data with every float at that many significant digits; doing it again changes nothing."""
    if isinstance(figures, float):
        return float(f"{figures:.{digits}g}")
    if isinstance(figures, (list, tuple)):
        values = cast("Sequence[Any]", figures)
        return [float(f"{f:.{digits}g}") if type(f) is float else rounded(f, digits) for f in values]
    if isinstance(figures, dict):
        return {k: rounded(v, digits) for k, v in cast("dict[str, Any]", figures).items()}
    return figures


def _file(
    head: dict[str, object], environment: str, sessions: Iterable[str], cases: Iterable[str], more: str = ""
) -> bytes:
    fields = "".join(f"  {_line(k)}: {_line(v)},\n" for k, v in head.items())
    parts = ["{\n", fields, environment, f'  "sessions": {_list(sessions, 2)},\n', more]
    parts.append(f'  "cases": {_list(cases, 2)}\n}}\n')
    return "".join(parts).encode()


def _environment(environment: Environment) -> str:
    software = ",\n".join(f"      {_line(k)}: {_line(v)}" for k, v in sorted(environment.software.items()))
    software = f"{{\n{software}\n    }}" if software else "{}"
    return f'  "environment": {{\n    "device": {_line(environment.device)},\n    "software": {software}\n  }},\n'


def _confirmation(run: Run) -> str:
    """How suspects were measured again, where any were; one line a revision."""
    if run.confirmation is None:
        return ""
    beside = _list((_line(rounded(_plain(b), RUN_DIGITS)) for b in run.beside), 2)
    took = _line(rounded(_plain(run.confirmation), RUN_DIGITS))
    return f'  "confirmation": {took},\n  "beside": {beside},\n'


def _session(session: Session, digits: int) -> str:
    fields = _plain(session)
    if "canaries" in fields:
        fields["canaries"] = rounded(fields["canaries"], digits)
    return _line(fields)


def _accepted(case: Accepted, rank: dict[str, int]) -> str:
    fields = _plain(case)
    series = sorted(fields.pop("series"), key=lambda s: rank.get(s["session"], -1))
    return _entry(fields, "series", (_line(rounded(s, BASELINE_DIGITS)) for s in series), fields.pop("profile", None))


def _case(case: Case) -> str:
    fields = _plain(case)
    measurements = fields.pop("measurements")
    profile = fields.pop("profile", None)
    return _entry(fields, "measurements", (_line(rounded(m, RUN_DIGITS)) for m in measurements), profile)


def _entry(fields: dict[str, Any], name: str, lines: Iterator[str], profile: dict[str, Any] | None) -> str:
    head = "".join(f"      {_line(k)}: {_line(v)},\n" for k, v in fields.items())
    tail = "" if profile is None else f',\n      "profile": {_profile(profile)}'
    return f'{{\n{head}      "{name}": {_list(lines, 6)}{tail}\n    }}'


def _profile(profile: dict[str, Any]) -> str:
    """One line a kernel: a review shows which of them changed. Its times are one call's, and rounded as such."""
    kernels = profile.pop("kernels", ())
    fields = "".join(f"        {_line(k)}: {_line(rounded(v, PROFILE_DIGITS))},\n" for k, v in profile.items())
    lines = (_line(rounded(k, PROFILE_DIGITS)) for k in kernels)
    return f'{{\n{fields}        "kernels": {_list(lines, 8)}\n      }}'


def _list(lines: Iterable[str], indent: int) -> str:
    gap = " " * indent
    text = ",\n".join(f"{gap}  {line}" for line in lines)
    return f"[\n{text}\n{gap}]" if text else "[]"


def _plain(record: msgspec.Struct) -> dict[str, Any]:
    """Fields in the record's order, dictionaries by key."""
    return msgspec.to_builtins(record, order="deterministic")


def _line(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()
