"""Did the two sides measure two revisions? Testing the same code twice is the classic mistake."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from pytest_gpuperf.ab.checkout import Name, Side
from pytest_gpuperf.ab.git import files_of
from pytest_gpuperf.errors import UsageError

_PACKAGES = frozenset({"site-packages", "dist-packages"})  # an environment may lie in the repository
_DOCUMENTS = frozenset({".md", ".rst", ".txt", ".ipynb", ".html", ".svg", ".png", ".jpg", ".gif", ".yml", ".yaml"})
_NAMED = 4  # files named in a sentence
_INSTALLED = "site-packages"


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
    return tuple(dict.fromkeys(str(f.relative_to(root)) for f in inside if _PACKAGES.isdisjoint(f.parts)))


def verified(
    sides: Mapping[Name, Side], files: Mapping[Name, Mapping[str, str]], suite: Container[str], *, allow_same: bool
) -> tuple[str, ...]:
    """What each side imported, in sentences; refused where that is not two revisions.

    `suite`: the test files, where both sides run the same ones; where each runs its own, they are measured like any.
    """
    own: dict[Name, dict[str, str]] = {name: _own(side, files[name], suite) for name, side in sides.items()}
    for name, side in sides.items():
        _refuse_elsewhere(side, files[name])
    differing = sorted(
        path for path in own["base"].keys() | own["head"].keys() if own["base"].get(path) != own["head"].get(path)
    )
    sentences = [_describe_imports(side, own[name]) for name, side in sides.items()]
    if differing:
        every = own["base"].keys() | own["head"].keys()
        return (*sentences, f"of {len(every)} imported files {len(differing)} differ: {_listed(differing)}")
    others = _others(sides, suite)
    if others and any(own.values()):
        return (*sentences, f"the imported files are the same; other files differ: {_listed(others)}")
    if not allow_same:
        raise UsageError(_same(sides, own, files))
    return (*sentences, "both sides measured the same code (--allow-same)")


def early(sides: Mapping[Name, Side], files: Mapping[Name, Mapping[str, str]]) -> None:
    """Refuse, before anything is measured, what is wrong already when the tests are collected."""
    for name, of_side in files.items():
        _refuse_elsewhere(sides[name], of_side)


def _own(side: Side, files: Mapping[str, str], suite: Container[str]) -> dict[str, str]:
    """What was imported from the side's own folder, and is no test: path -> digest."""
    tree = side.tree.resolve()
    inside = (Path(file) for file in files.values())
    relative = {str(f.relative_to(tree)) for f in inside if f.is_relative_to(tree) and f.exists()}
    return {path: sha256((tree / path).read_bytes()).hexdigest() for path in relative if path not in suite}


def _refuse_elsewhere(side: Side, files: Mapping[str, str]) -> None:
    tree = side.tree.resolve()
    for module, file in sorted(files.items()):
        if not Path(file).is_relative_to(tree):
            raise UsageError(
                f"{side.revision.label} imported {module} from {file}, and not from its own files: both sides would "
                f"measure the same code. Something goes above the path (an editable installation with an import "
                f"hook, a sys.path of the tests' own). Give each side an installation of its own: --setup 'python -m "
                f"venv .venv && .venv/bin/pip install -e .'"
            )


def _same(
    sides: Mapping[Name, Side], own: Mapping[Name, Mapping[str, str]], files: Mapping[Name, Mapping[str, str]]
) -> str:
    base, head = (sides[name].revision.label for name in ("base", "head"))
    if any(own.values()):
        what = f"{base} and {head}: the files that the tests import are the same on both sides ({_listed(own['head'])})"
        return f"{what}. A comparison would measure one code twice. If that is meant: --allow-same"
    installed = sorted({str(Path(f)) for f in files["head"].values()})
    where = f" (they import {_listed(installed)})" if installed else ""
    return (
        f"{base} and {head}: the tests import nothing of either revision's files{where}, so both sides would measure "
        f"what is installed. Where the tests themselves hold what is measured: --tests each. Where the package lies "
        f"in another folder: --source FOLDER. Where it must be built: --setup. If it is meant: --allow-same"
    )


def _others(sides: Mapping[Name, Side], suite: Container[str]) -> list[str]:
    """Tracked files that differ and could be code: kernels, libraries, tables; no documents, no unimported Python."""
    names = {name: set(files_of(side.tree)) for name, side in sides.items()}
    return sorted(
        path
        for path in names["base"] | names["head"]
        if path not in suite
        and not is_python(path)
        and not is_document(path)
        and _digest(sides["base"].tree / path) != _digest(sides["head"].tree / path)
    )


def is_python(path: str) -> bool:
    """Whether it changes nothing unless it is imported."""
    return Path(path).suffix in {".py", ".pyi"}


def is_document(path: str) -> bool:
    """Whether no program runs it: text, pictures, and what tools keep under names of their own."""
    return Path(path).suffix in _DOCUMENTS or path.startswith((".", "docs/")) or ".egg-info/" in path


def differ(sides: Mapping[Name, Side], files: Mapping[Name, Mapping[str, str]]) -> bool:
    """Whether the sides imported anything, tests too, that is not the same, or could have read such a thing."""
    base, head = (_own(side, files[name], ()) for name, side in sides.items())
    return base != head or bool(_others(sides, ()))


def _digest(path: Path) -> str | None:
    return sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _describe_imports(side: Side, own: Mapping[str, str]) -> str:
    shown = sorted(p for p in own if _INSTALLED not in p) or sorted(own)
    return f"{side.name}: {side.revision.label} imported {len(own)} of its own files: {_listed(shown)}"


def _listed(paths: Iterable[str]) -> str:
    every = sorted(paths)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return (", ".join(every[:_NAMED]) or "none") + more
