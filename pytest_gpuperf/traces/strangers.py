"""Files that are no trace: what they look like, and what to type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.traces.export import MAGIC

_READ = "gpuperf reads torch.profiler's Chrome traces (.json, .json.gz) and SQLite exports of Nsight Systems"
_HOW = "Record one with prof.export_chrome_trace('trace.json'), or nsys export --type sqlite REPORT.nsys-rep"
_NEEDS_NSYS = (".nsys-rep", ".qdrep")
_COMPRESSED = {
    b"\x28\xb5\x2f\xfd": ("zstd", "zstd -d"),
    b"PK\x03\x04": ("a zip archive", "unzip"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ": ("xz", "unxz"),
}


def refuse_stranger(path: Path, begin: bytes) -> None:
    """Raise where the name or the first bytes show that no reader will do."""
    if path.suffix in _NEEDS_NSYS:
        raise FileError(
            f"{path} is a report of Nsight Systems, which only nsys can read. "
            f"Type: nsys export --type sqlite {path}, then give gpuperf the .sqlite file."
        )
    if path.suffix == ".qdstrm":
        raise FileError(f"{path} is a raw stream of Nsight Systems. Make a report of it with QdstrmImporter first.")
    if not begin:
        raise FileError(f"{path} is empty: the profiler was ended before it wrote. {_HOW}.")
    for magic, (what, command) in _COMPRESSED.items():
        if begin.startswith(magic):
            raise FileError(f"{path} is compressed ({what}). Type: {command} {path}")
    if begin.startswith((b"\xff\xfe", b"\xfe\xff")) or (begin[:64].count(0) * 3 > len(begin[:64]) and not begin[0]):
        raise FileError(f"{path} looks like UTF-16 text. Type: iconv -f UTF-16 -t UTF-8 {path} > trace.json")
    if b"\0" in begin and not begin.startswith(MAGIC):
        raise FileError(f"{path} is binary, and neither a gzip nor an SQLite file. {_READ}. {_HOW}.")


def not_a_trace(path: Path, texts: Sequence[bytes], *, damage: str | None) -> FileError:
    """A text without an array of events: what it seems to be instead."""
    text = texts[0].strip() if texts else b"[]"  # a bare array is not kept
    if damage is not None:
        return FileError(f"{path}: {damage}, before the first event. {_HOW}.")
    try:
        found: Any = msgspec.json.decode(text.decode(errors="replace"))
    except msgspec.DecodeError:
        if text.startswith(b"{"):
            return FileError(
                f"{path} has no traceEvents, and its JSON does not end: either it is no trace, or the profiler was "
                f"ended before it wrote an event. {_HOW}."
            )
        return FileError(f"{path} is no JSON. {_READ}. {_HOW}.")
    return FileError(f"{path} is JSON, but no trace: {_resembles(found)} {_READ}. {_HOW}.")


def _resembles(found: Any) -> str:
    if not isinstance(found, dict):
        return f"it holds {'an array without events' if isinstance(found, list) else 'a single value'}."
    keys: list[str] = [str(key) for key in found]  # type: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    kind = found.get("format")  # type: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if isinstance(kind, str) and kind.startswith("gpuperf-"):
        return f"it is a {kind.removeprefix('gpuperf-')} of gpuperf's own."
    if "nodes" in keys and "schema" in keys:
        return "it looks like an execution trace of torch (ExecutionTraceObserver), which has no times."
    listed = ", ".join(keys[:6])
    return f"it has {f'the keys {listed}' if keys else 'no keys'}{' and others' if len(keys) > 6 else ''}."
