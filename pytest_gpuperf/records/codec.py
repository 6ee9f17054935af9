"""From bytes to records, strictly: every flaw becomes one `Flaw` with its JSON path."""

from __future__ import annotations

import json
import math
import re
from typing import Any, TypeVar, cast

import msgspec
from msgspec import DecodeError, Struct

from pytest_gpuperf.records.envelope import BASELINE, RUN, VERSION, BaselineFile, RunFile
from pytest_gpuperf.records.flaws import Flaw, check_baseline, check_run, member, shown
from pytest_gpuperf.records.model import Baseline, Run

LOOKED_THROUGH = 16 << 20  # bytes of a file: as Python's own values it takes up to a hundred times as much
# What NaN, Infinity and numbers that may be too large look like: a file without them is not parsed again.
_CANDIDATE = re.compile(rb"NaN|Infinity|[0-9]{19}|[eE]\+?[0-9]{3}")
# Everything that decoding may raise: malformed text, a value of the wrong type or range, bytes that are not UTF-8,
# nesting deeper than the interpreter's stack, a number too large for any field.
_UNREADABLE = (DecodeError, ValueError, RecursionError, OverflowError)


def refuse_duplicate_keys(raw: bytes, decoded: RunFile | BaselineFile) -> None:
    """Raise if an object in these bytes has a key twice.

    Every key brings one colon, and decoding drops values but never invents one. So as many colons in the bytes as in
    the decoded record written out again means that nothing was dropped; this costs a tenth of looking at every key.
    An escaped colon breaks the count, and a default that is spelt out makes it differ: then the keys are looked at.
    """
    if raw.count(b":") == _colons(decoded) and b"\\u003" not in raw:
        return
    _walk(json.loads(raw, object_pairs_hook=_Pairs), "$")


def _colons(decoded: RunFile | BaselineFile) -> int:
    """In the record written out: case by case, since all of it at once would double the memory."""
    rest = msgspec.structs.replace(decoded, cases=())
    return sum(msgspec.json.encode(part).count(b":") for part in (rest, *decoded.cases))


class _Pairs(list[tuple[str, Any]]):
    """The keys and values of an object as they stand in the text."""


def _walk(node: object, place: str) -> None:
    if isinstance(node, _Pairs):
        keys: set[str] = set()
        for key, value in node:
            if key in keys:
                raise Flaw(member(place, key), f"the key {shown(key)} stands twice in one object")
            keys.add(key)
            _walk(value, member(place, key))
    elif isinstance(node, list):
        for i, value in enumerate(node):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            _walk(value, f"{place}[{i}]")  # pyright: ignore[reportUnknownArgumentType]


def place_of_no_figure(raw: bytes) -> str | None:
    """The JSON path of the first number that is not finite, or None."""
    if len(raw) > LOOKED_THROUGH or _CANDIDATE.search(raw) is None:
        return None
    try:
        return _find(parsed_loosely(raw), "$")
    except (ValueError, RecursionError):
        return None


def parsed_loosely(raw: bytes) -> Any:
    """The values of a file whose only flaw may be numbers that are not finite: a too large integer becomes infinite."""
    return json.loads(raw, parse_int=lambda digits: int(digits) if len(digits) < 20 else math.inf)


def _find(node: object, place: str) -> str | None:
    if isinstance(node, float):
        return None if math.isfinite(node) else place
    if isinstance(node, dict):
        inner = [(v, member(place, k)) for k, v in cast("dict[str, Any]", node).items()]
    elif isinstance(node, list):
        inner = [(v, f"{place}[{i}]") for i, v in enumerate(cast("list[Any]", node))]
    else:
        return None
    return next((found for value, at in inner if (found := _find(value, at))), None)


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
    except (KeyError, IndexError, TypeError, RecursionError):  # it has no id: the path alone must do
        return place
    return f"{place} (case {shown(case)})"


def _sentence(text: str) -> str:
    return text.strip().rstrip(".:") or "it cannot be read"
