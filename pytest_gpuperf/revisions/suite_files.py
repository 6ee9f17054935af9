"""Which files of a repository are its tests: HEAD's take the place of BASE's, and none of them is code under test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from pytest_gpuperf.revisions.git import files_of
from pytest_gpuperf.revisions.tree import Tree

_FOLDERS = frozenset({"tests", "test"})
_SUITES = _FOLDERS | {"perf", "bench", "benchmark", "benchmarks"}  # as a top folder that pytest is given
_NAMES = ("conftest.py", "test_*.py", "*_test.py")
_SETTINGS = frozenset({"pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "pyproject.toml", "tox.ini",
                       "setup.cfg"})  # fmt: skip


@dataclass(frozen=True)
class SuiteFiles:
    """Test files by name, in folders of tests, in folders that pytest is given; and pytest's settings."""

    folders: frozenset[str]  # relative to the repository, as posix paths

    @classmethod
    def of(cls, root: Path, working: str, arguments: Sequence[str], also: Iterable[str]) -> SuiteFiles:
        """Those of a tree, for pytest started in the folder `working` of it with these arguments."""
        given = (argument.split("::", 1)[0] for argument in arguments)
        paths = (_inside(root, root / working / path) for path in given if path and not path.startswith("-"))
        named = {str(path) for path in (_inside(root, root / name) for name in also) if path is not None}
        folders = {str(path) for path in paths if path is not None and _holds_tests(root, path)}
        return cls(frozenset(folders | named))

    def __contains__(self, name: str) -> bool:
        path = PurePosixPath(name)
        return (
            any(fnmatch(path.name, pattern) for pattern in _NAMES)
            or not _FOLDERS.isdisjoint(path.parts[:-1])
            or (path.name in _SETTINGS and len(path.parts) <= 1)
            or any(str(p) in self.folders for p in (path, *path.parents))
        )


def put_tests(suite: SuiteFiles, source: Path, target: Path) -> None:
    """Replace a tree's tests with another tree's."""
    theirs, ours = Tree(source), Tree(target)
    for name in sorted({*files_of(target), *files_of(source, others=True)}):
        linked = "link" in {theirs.kind(name), ours.kind(name)}
        if name in suite or (linked and f"{name}/file" in suite):  # a link may stand where a folder of tests stood
            ours.put(name, theirs)


def _inside(root: Path, path: Path) -> PurePosixPath | None:
    if not path.exists() or not path.resolve().is_relative_to(root.resolve()):
        return None
    return PurePosixPath(path.resolve().relative_to(root.resolve()).as_posix())


def _holds_tests(root: Path, path: PurePosixPath) -> bool:
    """A package is code under test, also where pytest is given it: only what its names show to be tests is."""
    if path.parts[:1] in {(), ("src",)}:
        return False
    if path.parts[0] in _SUITES:
        return True
    return not any((root / p / "__init__.py").exists() for p in (path, *path.parents) if p.parts)
