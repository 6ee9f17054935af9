"""Which files of a folder this process has loaded: modules, test files, shared libraries."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterator
from pathlib import Path


def loaded_files(folder: Path, names: Container[str] = ()) -> Iterator[tuple[str, str]]:
    """Module (or library) and file: what lies in the folder, and modules of these names wherever they lie."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and not file.startswith("<"):
            real = Path(file).resolve()
            if real.is_relative_to(folder) or name.partition(".")[0] in names:
                yield name, str(real)
    mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
    for file in {line.split(maxsplit=5)[-1] for line in mapped.splitlines() if f" {folder}/" in line}:
        yield file, file
