"""One side of the comparison: a revision's files, with HEAD's tests in place of BASE's, built if it has to be."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Literal

from pytest_gpuperf.ab.git import Repository, Revision, clean_environment, files_of
from pytest_gpuperf.ab.tree import Tree
from pytest_gpuperf.ab.workplace import VARIABLE
from pytest_gpuperf.errors import SessionError, UsageError
from pytest_gpuperf.sessions.die_with_parent import on_leash
from pytest_gpuperf.sessions.process import last_lines

_FOLDERS = frozenset({"tests", "test"})
_SUITES = _FOLDERS | {"perf", "bench", "benchmark", "benchmarks"}  # as a top folder that pytest is given
_NAMES = ("conftest.py", "test_*.py", "*_test.py")
_SETTINGS = frozenset({"pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "pyproject.toml", "tox.ini",
                       "setup.cfg"})  # fmt: skip


OWN_PYTHON = Path(".venv/bin/python")  # what --setup may make in a side's folder


@dataclass(frozen=True)
class SuiteFiles:
    """What belongs to the tests: files named like tests, folders of tests or given to pytest, and pytest's settings."""

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
    """Whether a folder given to pytest is all tests. A package is not: only its files that are named like tests are."""
    if path.parts[:1] in {(), ("src",)}:
        return False
    if path.parts[0] in _SUITES:
        return True
    return not any((root / p / "__init__.py").exists() for p in (path, *path.parents) if p.parts)


Name = Literal["base", "head"]
OTHER: Mapping[Name, Name] = {"base": "head", "head": "base"}


@dataclass(frozen=True)
class Side:
    """A revision, ready to be measured."""

    name: Name
    revision: Revision
    tree: Path
    working: str  # the folder pytest is started in, relative to the tree
    sources: tuple[str, ...]  # folders that go first on the path, relative to the tree
    repository: Path

    @property
    def python(self) -> str:
        """Its own interpreter where --setup made one, else this one."""
        return str(self.tree / OWN_PYTHON) if self.built else sys.executable

    @property
    def built(self) -> bool:
        """Whether it has an environment of its own: what is installed there comes first then, not its sources."""
        return (self.tree / OWN_PYTHON).exists()

    @property
    def importable(self) -> tuple[str, ...]:
        """The names of the packages and modules of its sources."""
        return tuple(sorted({n for source in self.sources for n in _importable(self.tree / source, source)}))

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Start pytest, on a leash. With an environment of its own, the folder it starts in is not put on the path."""
        safe = ["-P"] if self.built else []
        moved = [self._moved_inside(argument) for argument in arguments]
        return on_leash([self.python, *safe, "-m", "pytest", *moved])

    def environment(self, place: Path) -> dict[str, str]:
        """Its sources before everything else; paths into the user's folder lead to its own."""
        known = clean_environment()
        inherited = [self._moved(path) for path in known.get("PYTHONPATH", "").split(os.pathsep) if path]
        first = [] if self.built else [str((self.tree / source).resolve()) for source in self.sources]
        paths = os.pathsep.join(dict.fromkeys([*first, *inherited]))
        return {**known, VARIABLE: str(place), "PYTHONPATH": paths}

    def _moved_inside(self, argument: str) -> str:
        """An argument that names a place in the user's folder names it in the side's own."""
        return re.sub(rf"{re.escape(str(self.repository))}(?=/|$)", lambda _: str(self.tree), argument)

    def _moved(self, path: str) -> str:
        real = Path(path).resolve()
        inside = real.is_relative_to(self.repository)
        return str(self.tree / real.relative_to(self.repository)) if inside else path


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How the sides are made."""

    setup: str | None = None
    tests: Literal["head", "each"] = "head"
    sources: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


def prepare(
    repository: Repository,
    base: str,
    head: str,
    folder: Path,
    place: Path,
    how: Preparation,
    fetched: Repository | None = None,
) -> tuple[Side, Side, SuiteFiles]:
    """Check both revisions out, build them, and put HEAD's tests in the place of BASE's.

    `fetched`: where BASE is, if the user's repository lacks it.
    """
    source = fetched or repository
    revisions = {"base": source.resolve(base), "head": repository.resolve(head)}
    trees: dict[Name, Path] = {"base": place / "base", "head": place / "head"}
    source.check_out(revisions["base"], trees["base"])
    repository.check_out(revisions["head"], trees["head"])
    if head == "HEAD" and repository.copy_working_state(trees["head"]):
        revisions["head"] = Revision(head, revisions["head"].commit, dirty=True)
    working = os.path.relpath(folder.resolve(), repository.root.resolve())
    for name in how.also:
        if _inside(trees["head"], trees["head"] / name) is None:
            raise UsageError(f"--also {name}: {revisions['head'].label} has no such file or folder.")
    suite = SuiteFiles.of(trees["head"], working, how.arguments, how.also)
    sides = {
        name: Side(name, revisions[name], tree, working, _sources(trees, how.sources), repository.root.resolve())
        for name, tree in trees.items()
    }
    for side in sides.values():
        if how.setup is not None:
            _build(side, how.setup, place)
    if how.tests == "head":
        put_tests(suite, trees["head"], trees["base"])
    for side in sides.values():
        if not (side.tree / working).is_dir():
            raise UsageError(
                f"{side.revision.label} has no folder {working}, where pytest would be started. Start gpuperf ab in "
                f"a folder that both revisions have."
            )
        _refuse_plugin(side)
    return sides["base"], sides["head"], suite


def _sources(trees: Mapping[Name, Path], sources: Iterable[str]) -> tuple[str, ...]:
    sources = tuple(sources)
    for source in sources:
        if not any((tree / source).is_dir() for tree in trees.values()):
            raise UsageError(f"--source {source}: neither revision has such a folder.")
    if sources:
        return sources
    return ("src", ".") if any((tree / "src").is_dir() for tree in trees.values()) else (".",)


def _importable(folder: Path, source: str) -> set[str]:
    """Packages with an `__init__.py` and single modules; in `src` every folder is a package."""
    if not folder.is_dir():
        return set()
    packages = {p.name for p in folder.iterdir() if p.is_dir() and p.name.isidentifier()
                and (source == "src" or (p / "__init__.py").exists())}  # fmt: skip
    modules = {p.stem for p in folder.glob("*.py") if p.stem.isidentifier()}
    return (packages | modules) - {"tests", "test", "conftest", "setup", "noxfile"}


def _refuse_plugin(side: Side) -> None:
    if "pytest_gpuperf" in side.importable and not side.built:
        raise UsageError(
            "This repository holds pytest_gpuperf itself, and what measures must be one and the same on both sides. "
            "Compare two installations of it instead: --setup with an environment of its own for each side."
        )


def _build(side: Side, setup: str, place: Path) -> None:
    """Run the user's command in the side's folder; `python` is this interpreter there."""
    tree = Tree(side.tree)
    if tree.kind(OWN_PYTHON.parts[0]) == "link":  # the command would install into the environment that it leads to
        tree.remove(OWN_PYTHON.parts[0])
    here = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = {**clean_environment(), VARIABLE: str(place), "PATH": here, "GPUPERF_SIDE": side.name}
    result = subprocess.run(  # noqa: S603 - the user's own command
        on_leash(["/bin/sh", "-c", setup]),
        cwd=side.tree,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if result.returncode:
        raise SessionError(
            f"--setup ended with exit code {result.returncode} for {side.revision.label}.\n  {setup}\n"
            f"  Its last lines:\n{last_lines(result.stdout.decode(errors='replace'))}"
        )
    if side.built:
        _lend_plugin(side)


def _lend_plugin(side: Side) -> None:
    """Let a side's own environment find this plugin, and what it needs, after everything of its own."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    result = subprocess.run(  # noqa: S603 - the interpreter that --setup made
        [side.python, "-c", code], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise SessionError(f"{side.python} does not run: {result.stderr.strip()}. It is what --setup made.")
    ours = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    line = "; ".join(["import site", *(f"site.addsitedir({folder!r})" for folder in ours)])
    packages, tree = Path(result.stdout.strip()).resolve(), side.tree.resolve()
    if not packages.is_relative_to(tree):
        raise SessionError(
            f"{OWN_PYTHON.parts[0]} of {side.revision.label} leads to {packages}, outside the side's own folder, where "
            f"gpuperf ab writes nothing. Let --setup make an environment there: python -m venv {OWN_PYTHON.parts[0]}"
        )
    Tree(tree).write(f"{packages.relative_to(tree).as_posix()}/zz_gpuperf.pth", line + "\n")
