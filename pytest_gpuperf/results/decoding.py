"""From bytes to records, strictly: every flaw becomes one `Flaw` with its JSON path."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
from msgspec import DecodeError, Struct

from pytest_gpuperf.results.checking import check_baseline, check_run
from pytest_gpuperf.results.duplicates import refuse_duplicate_keys
from pytest_gpuperf.results.envelope import BASELINE, RUN, VERSION, BaselineFile, RunFile
from pytest_gpuperf.results.nonfinite import LOOKED_THROUGH, parsed_loosely, place_of_no_figure
from pytest_gpuperf.results.problems import Flaw, shown
from pytest_gpuperf.results.records import Baseline, Run

# Everything that decoding may raise: malformed text, a value of the wrong type or range, bytes that are not UTF-8,
# nesting deeper than the interpreter's stack, a number too large for any field.
_UNREADABLE = (DecodeError, ValueError, RecursionError, OverflowError)


File = TypeVar("File", RunFile, BaselineFile)


class _Header(Struct):
    format: Any = None
    version: Any = None


_run = msgspec.json.Decoder(RunFile)
_baseline = msgspec.json.Decoder(BaselineFile)


def decode_run(raw: bytes) -> Run:
    """The run in these bytes."""
    run = _file(_run, raw, RUN).content()
    check_run(run)
    return run


def decode_baseline(raw: bytes) -> Baseline:
    """The baseline in these bytes."""
    baseline = _file(_baseline, raw, BASELINE).content()
    check_baseline(baseline)
    return baseline


def _file(decoder: msgspec.json.Decoder[File], raw: bytes, kind: str) -> File:
    try:
        decoded = decoder.decode(raw)
    except _UNREADABLE as e:
        raise _flaw(e, raw, kind) from None
    refuse_duplicate_keys(raw, decoded)
    return decoded


def kind_of(raw: bytes) -> str | None:
    """The kind of file these bytes say they are; None where they say nothing of that sort."""
    try:
        kind: object = msgspec.json.decode(raw, type=_Header).format
    except _UNREADABLE:
        return None
    return kind if kind in (RUN, BASELINE) else None


def _flaw(error: Exception, raw: bytes, kind: str) -> Flaw:
    """What is wrong, the coarsest first: text, then kind of file, then version, then the field."""
    if not raw.strip():
        return Flaw("$", "the file is empty")
    if text := _not_text(raw):
        return text
    if raw.lstrip()[:1] != b"{":
        return Flaw("$", "this is not a JSON object")
    try:
        header = msgspec.json.decode(raw, type=_Header)
    except RecursionError:
        return Flaw("$", "it is nested too deeply")
    except _UNREADABLE as e:
        return _no_figure(raw) or _malformed(e, raw)
    return _foreign(header, kind) or _no_figure(raw) or _misfit(error, raw)


def _foreign(header: _Header, kind: str) -> Flaw | None:
    """A file of another kind or version."""
    found, version = header.format, header.version
    if found == kind == RUN or found == kind == BASELINE:
        if type(version) is int and 1 <= version <= VERSION:
            return None
        if type(version) is int and version > VERSION:
            return Flaw(
                "$.version",
                f"written by a newer gpuperf (format version {version}); this one reads up to version {VERSION}",
                "Upgrade with: pip install -U pytest-gpuperf",
            )
        return Flaw("$.version", f"expected a format version from 1 to {VERSION}, found {shown(version)}")
    if found == RUN:
        return Flaw(
            "$.format",
            "this is a run file, and a baseline is needed here",
            "Promote it with: gpuperf accept {path} --into BASELINE",
        )
    if found == BASELINE:
        return Flaw(
            "$.format",
            "this is a baseline file, and a run is needed here",
            "Record a run with: pytest --gpuperf-save RUN",
        )
    return Flaw("$.format", f'this is no file of gpuperf: expected "{kind}", found {shown(found)}')


def _malformed(error: Exception, raw: bytes) -> Flaw:
    text = str(error)
    if "truncated" in text:
        return Flaw("$", f"the file is truncated: it ends after {len(raw)} bytes in the midst of a value")
    at = re.search(r" \(byte (\d+)\)", text)
    if at is None:
        return _misfit(error, raw)
    return Flaw("$", f"{_sentence(text[: at.start()])} at {_line_of(raw, int(at[1]))}")


def _not_text(raw: bytes) -> Flaw | None:
    try:
        raw.decode()
    except UnicodeDecodeError as e:
        return Flaw("$", f"it holds bytes that are no UTF-8 text at {_line_of(raw, e.start)}")
    return None


def _no_figure(raw: bytes) -> Flaw | None:
    """The place of a NaN, an Infinity or a number too large to be one: the strict decoder does not say it."""
    place = place_of_no_figure(raw)
    return Flaw(_with_case(place, raw), "this is no finite number within range") if place else None


def _line_of(raw: bytes, offset: int) -> str:
    lines = raw[:offset].split(b"\n")
    return f"line {len(lines)}, column {len(lines[-1]) + 1}"


def _misfit(error: Exception, raw: bytes) -> Flaw:
    """A well-formed file with a value that does not belong there."""
    what, _, place = str(error).partition(" - at `")
    place = place.rstrip("`") or "$"
    return Flaw(_with_case(place, raw), _sentence(what))


def _with_case(place: str, raw: bytes) -> str:
    """The path, and the id of the case it lies in."""
    index = re.match(r"\$\.cases\[(\d+)\]", place)
    if index is None or len(raw) > LOOKED_THROUGH:
        return place
    try:
        case = parsed_loosely(raw)["cases"][int(index[1])]["id"]
    except (KeyError, TypeError, RecursionError):  # it has no id that can be said: the path alone must do
        return place
    return f"{place} (case {shown(case)})"


def _sentence(text: str) -> str:
    return text.strip().rstrip(".:") or "it cannot be read"
