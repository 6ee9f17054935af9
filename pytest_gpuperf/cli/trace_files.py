"""Which traces are meant, and what the files about them are called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gpuperf.errors import FileError

if TYPE_CHECKING:
    from pytest_gpuperf.traces.analyse import Analysed

SUFFIXES = (".json", ".json.gz", ".sqlite", ".nsys-rep", ".qdrep")
WIDTH = 120  # columns of a text that is kept: the terminal that wrote it may be narrow
OURS = "_performance_analysis"  # what ends the names of the files that are written
CHANGE = "trace_change"  # what two traces together are written as
# "gpu0_numa1_vit16x12x768_compile", whatever a profiler's handler put before and behind it.
_CONFIGURATION = re.compile(r"gpu\d+_numa\d+_vit\d+x\d+x\d+_[\w-]+")
_ENDS = (".gz", ".json", ".trace", ".pt", ".sqlite", ".nsys-rep", ".qdrep")


def refuse_unreadable(paths: Iterable[Path]) -> None:
    """Before anything is exported or read: what is not there, and what may never end (a pipe, a device)."""
    for path in paths:
        if not path.exists():
            raise FileError(f"{path}: there is no such file. Check the path")
        if not (path.is_file() or path.is_dir()):
            raise FileError(f"{path}: this is no regular file. Give the path of a file")


def traces_in(paths: Iterable[Path]) -> list[Path]:
    """The files, and those in the folders, each once; of a report and its export, the report stands for both."""
    found = list(dict.fromkeys(file for path in paths for file in (_in_folder(path) if path.is_dir() else [path])))
    reports = {file.with_suffix(".sqlite") for file in found if file.suffix in {".nsys-rep", ".qdrep"}}
    return [file for file in found if file not in reports]


def _in_folder(folder: Path) -> list[Path]:
    found = sorted(
        file
        for file in folder.iterdir()
        if file.name.endswith(SUFFIXES)
        and file.is_file()
        and not file.name.endswith((f"{OURS}.json", f"{CHANGE}.json"))
    )
    if not found:
        raise FileError(f"{folder}: there is no trace in it. A trace ends in one of: {', '.join(SUFFIXES)}")
    return found


def names_of(files: Sequence[Path]) -> dict[Path, str]:
    """File -> the name of what is written about it, without its ending. No two are the same."""
    names: dict[Path, str] = {}
    for file in files:
        name = f"{_stem(file.name)}{OURS}"
        taken = set(names.values())
        names[file] = next(n for n in _numbered(name) if n not in taken)
    return names


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield name.removesuffix(OURS) + f"-{number}{OURS}"
        number += 1


def _stem(name: str) -> str:
    """``gpu0_numa1_vit16x12x768_compile.1700.pt.trace.json.gz`` -> its configuration; any other without its endings."""
    configuration = _CONFIGURATION.search(name)
    if configuration is not None:
        return configuration[0]
    for end in _ENDS:
        name = name.removesuffix(end)
    return name


def write_files(folder: Path, name: str, analysed: Analysed) -> list[Path]:
    """Text to read, JSON for programs, and a page."""
    from pytest_gpuperf.records.files import write_report
    from pytest_gpuperf.records.render import render_record
    from pytest_gpuperf.reports.document import as_text
    from pytest_gpuperf.reports.html.trace_page import render_trace_html
    from pytest_gpuperf.reports.trace_report import document

    texts = {
        "txt": as_text(document(analysed.analysis), WIDTH) + "\n",
        "json": render_record(analysed.analysis),
        "html": render_trace_html(analysed.analysis, analysed.timeline()),
    }
    paths = {kind: folder / f"{name}.{kind}" for kind in texts}
    for kind, path in paths.items():
        write_report(path, texts[kind])
    return list(paths.values())
