"""An SQLite export of Nsight Systems, opened: what its schema has, and whether it is one at all."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.traces.unpacked import SAY_EVERY, Say

MAGIC = b"SQLite format 3\0"
STRINGS = "StringIds"
_MAJORS = (1, 2, 3)  # of the schemas whose tables these are
_ROWS = 20_000  # at a time
_PATIENCE = 1.0  # seconds for another program that writes
_META = ("META_DATA_EXPORT", "EXPORT_META_DATA")
_VERSION = "EXPORT_SCHEMA_VERSION"
_OURS = ("CUPTI_ACTIVITY_KIND_", "TARGET_INFO_", "NVTX_EVENTS", "META_DATA_")


@dataclass
class Export:
    """One file, which is only read."""

    path: Path
    database: sqlite3.Connection
    columns: Mapping[str, Sequence[str]]  # by table
    schema: str | None = None
    say: Say | None = None

    def has(self, table: str, *columns: str) -> bool:
        """Whether the table is there, and they are in it."""
        return table in self.columns and all(column in self.columns[table] for column in columns)

    def number(self, table: str, column: str, otherwise: int = 0) -> str:
        """SQL for a whole number, whatever stands in a cell."""
        return f'coalesce(cast("{column}" as integer), {otherwise})' if self.has(table, column) else str(otherwise)

    def rows(self, table: str, expressions: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
        """Start, length and the expressions of those that have a start and an end; many at a time."""
        missing = [column for column in ("start", "end") if not self.has(table, column)]
        if missing:
            raise self.unknown(table, missing)
        length = 'cast("end" - "start" as integer)'  # whatever they are, it fits into 64 bits
        wanted = ", ".join([self.number(table, "start"), length, *expressions])
        cursor = self.database.execute(
            f'select {wanted} from "{table}" where "start" is not null and "end" is not null'  # noqa: S608 - our names
        )
        done, last = 0, monotonic()
        while rows := cursor.fetchmany(_ROWS):
            yield rows
            done += len(rows)
            if self.say is not None and monotonic() - last > SAY_EVERY:
                last = monotonic()
                self.say(f"{self.path.name}: {done:,} rows of {table} read")

    def texts(self, table: str, column: str, place: Callable[[str], int]) -> dict[int, int]:
        """Of each string that a column refers to, its place among the names."""
        if not self.has(table, column) or not self.has(STRINGS, "id", "value"):
            return {}
        query = f'select id, value from {STRINGS} where id in (select distinct "{column}" from "{table}")'  # noqa: S608 - our names
        return {key: place(str(value)) for key, value in self.database.execute(query)}

    def values(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        """All of a small table; nothing where it, or a column of it, is not there."""
        if not self.has(table, *columns):
            return []
        return self.database.execute(f'select {", ".join(columns)} from "{table}"').fetchall()  # noqa: S608 - our names

    def unknown(self, table: str, missing: Sequence[str]) -> FileError:
        """A table that is not as any known schema has it."""
        return FileError(
            f"{self.path}: its table {table} has no column {' and no '.join(missing)}, so gpuperf does not know this "
            f"schema ({self.schema or 'without a version'}). {_again(self.path)}"
        )


@contextmanager
def opened(path: Path, say: Say | None = None) -> Generator[Export]:
    """The export, checked. What SQLite refuses, then or later, becomes a message."""
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE)) as database:
            database.text_factory = _text
            yield _checked(path, database, say)
    except (sqlite3.Error, UnicodeDecodeError) as error:  # a damaged name in a message of its own
        if "locked" in str(error):
            raise FileError(
                f"{path} is locked: another program writes it. Wait until nsys export has ended, and try again."
            ) from error
        raise FileError(f"{path} cannot be read as SQLite: {error}. {_again(path)}") from error


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _again(path: Path) -> str:
    report = path.with_suffix(".nsys-rep").name
    return f"Export it again: nsys export --type sqlite --force-overwrite true {report}"


def _checked(path: Path, database: sqlite3.Connection, say: Say | None) -> Export:
    tables = [str(name) for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
    if STRINGS not in tables or not any(table.startswith(_OURS) for table in tables):
        raise _other_tool(path, sorted(tables))
    columns = {
        table: [str(name) for (name,) in database.execute("select name from pragma_table_info(?)", (table,))]
        for table in tables
    }
    export = Export(path, database, columns, say=say)
    export.schema = _version(export)
    return export


def _other_tool(path: Path, tables: Sequence[str]) -> FileError:
    if "StringTable" in tables:
        return FileError(
            f"{path} is of nvprof, which gpuperf does not read. Record with nsys profile --trace=cuda,nvtx."
        )
    listed = ", ".join(tables[:6]) + (" and others" if len(tables) > 6 else "")
    return FileError(
        f"{path} is an SQLite file of another tool: {f'its tables are {listed}' if tables else 'it has no tables'}. "
        f"An export of Nsight Systems has {STRINGS} and CUPTI_ACTIVITY_KIND_KERNEL: "
        "nsys export --type sqlite REPORT.nsys-rep"
    )


def _version(export: Export) -> str | None:
    """As nsys writes it; None in exports that are older than schemas' versions."""
    meta = {str(name): str(value) for table in _META for name, value in export.values(table, "name", "value")}
    parts = [meta[key] for part in ("MAJOR", "MINOR", "MICRO") if (key := f"{_VERSION}_{part}") in meta]
    version = meta.get(_VERSION) or ".".join(parts)
    if not version:
        return None
    major = re.match(r"\d+", version)
    if major is None or int(major[0]) not in _MAJORS:
        raise FileError(
            f"{export.path} has schema {version} of Nsight Systems. gpuperf knows {_MAJORS[0]} to {_MAJORS[-1]}: in "
            "another one the same columns may mean something else. Export with an nsys that writes one of these, or "
            "update pytest-gpuperf."
        )
    return version
