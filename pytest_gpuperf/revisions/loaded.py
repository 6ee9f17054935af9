"""What this process has loaded from a folder (modules, test files, shared libraries), and where it looked for that."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterator
from pathlib import Path

_INSTALLED = frozenset({"site-packages", "dist-packages"})  # an environment may lie in the repository


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


def source_folders(root: Path) -> tuple[str, ...]:
    """The folders below a root that this process imports from, relative to it: `src`, `packages/one/src`, `.`.

    Those of its path, in order; then those that an editable installation's hook leads to.
    """
    folders = [Path(entry or ".") for entry in sys.path]
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and "." not in name and name != "__main__":
            folders.append(Path(file).parent.parent if Path(file).stem == "__init__" else Path(file).parent)
    inside = (f.resolve() for f in folders if f.is_dir() and f.resolve().is_relative_to(root))
    return tuple(dict.fromkeys(str(f.relative_to(root)) for f in inside if _INSTALLED.isdisjoint(f.parts)))
