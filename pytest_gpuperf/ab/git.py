"""Reading a git repository without touching it: its index, its stashes and its list of work trees stay as they are.

A revision is read into a folder with a repository of its own that borrows the objects. `git worktree` would add an
entry to the user's repository, and a killed process would leave it there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_gpuperf.ab.tree import Tree
from pytest_gpuperf.errors import FileError, UsageError

WORKING_STATE = "HEAD"  # the word that means what stands in the folder now, uncommitted changes included
_SHORT = 10
_FETCH_WITHIN = 60.0  # seconds for one commit from one remote
_ACCESS = ("http.", "credential.", "url.", "core.sshcommand", "core.askpass", "ssh.")
_SUBMODULE = "160000 "  # its mode in a commit
_LOCAL = frozenset({
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_DIR", "GIT_INDEX_FILE", "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_WORK_TREE",
})  # fmt: skip


@dataclass(frozen=True)
class Revision:
    """One revision: as the user named it, and which commit that is."""

    name: str
    commit: str
    dirty: bool = False  # with changes that no commit has

    @property
    def label(self) -> str:
        """``main (1a2b3c4d5e)``."""
        short = self.commit[:_SHORT] + ("+dirty" if self.dirty else "")
        return short if self.commit.startswith(self.name) else f"{self.name} ({short})"


@dataclass(frozen=True)
class Repository:
    """The user's repository. Nothing here writes to it."""

    root: Path  # of the work tree
    git_dir: Path

    @classmethod
    def around(cls, folder: Path) -> Repository:
        """The repository that a folder belongs to."""
        try:
            root = _git("rev-parse", "--show-toplevel", cwd=folder)
            git_dir = _git("rev-parse", "--absolute-git-dir", cwd=folder)
        except UsageError as error:
            raise UsageError(
                f"{folder} is in no git work tree, so there are no revisions to compare ({error}). Run it in a clone, "
                f"or judge against a recorded baseline: gpuperf calibrate --help"
            ) from None
        return cls(Path(root.strip()), Path(git_dir.strip()))

    def resolve(self, name: str) -> Revision:
        """The commit that a branch, a tag or an abbreviation names."""
        try:
            commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", cwd=self.root)
        except UsageError:
            raise UsageError(
                f"{name!r} names no commit of {self.root}. See what there is: git branch --all; git tag. A shallow "
                f"clone may lack it: git fetch --depth 1 origin {name}:{name}"
            ) from None
        return Revision(name, commit.strip())

    def check_out(self, revision: Revision, folder: Path) -> None:
        """Write a commit's files into a new folder, with a repository of its own that borrows the objects."""
        kind = _git("rev-parse", "--show-object-format", cwd=self.root).strip()
        _git("-c", "init.defaultBranch=none", "init", "--quiet", "--template=", f"--object-format={kind}", str(folder))
        own = folder / ".git"
        (own / "objects" / "info").mkdir(parents=True, exist_ok=True)
        (own / "objects" / "info" / "alternates").write_text(f"{self._path('objects')}\n", encoding="utf-8")
        if self._path("shallow").exists():
            shutil.copyfile(self._path("shallow"), own / "shallow")
        tags = _git("for-each-ref", "--format=%(objectname) %(refname)", "refs/tags", cwd=self.root)
        (own / "packed-refs").write_text(tags, encoding="utf-8")  # what builds ask for their version number
        (own / "HEAD").write_text(f"{revision.commit}\n", encoding="utf-8")
        # By the user's repository, so that its filters (LFS, line ends) and its promised objects are at hand.
        into = {"GIT_DIR": str(self.git_dir), "GIT_WORK_TREE": str(folder), "GIT_INDEX_FILE": str(own / "index")}
        # With submodule.recurse it would write this folder's name into the settings of the user's submodules.
        alone = ("-c", "submodule.recurse=false")
        _git(*alone, "read-tree", "--reset", "-u", revision.commit, cwd=folder, environment=into)
        for name, commit in self._submodules(revision.commit):
            self._check_out_submodule(name, commit, folder)

    def copy_working_state(self, folder: Path) -> bool:
        """Bring a folder that holds HEAD's commit to what stands in the work tree; whether anything differed."""
        source, target = Tree(self.root), Tree(folder)
        changed = False
        for name in sorted({*files_of(folder), *files_of(self.root, others=True)}):
            try:
                changed |= target.put(name, source)
            except PermissionError:
                raise FileError(
                    f"{self.root / name}: it may not be read, so what is measured would not be what stands here. Make "
                    f"it readable, or have git ignore it."
                ) from None
        return changed

    def has(self, commit: str) -> bool:
        """Whether a commit is here: a shallow clone has few of them."""
        try:
            _git("cat-file", "-e", f"{commit}^{{commit}}", cwd=self.root)
        except UsageError:
            return False
        return True

    def fetched(self, commit: str, folder: Path, environment: Mapping[str, str]) -> Repository:
        """A new repository with this one commit, from one of the user's remotes.

        What git says of a failure is not shown: it may name an address with a password in it.
        """
        kind = _git("rev-parse", "--show-object-format", cwd=self.root).strip()
        _git("-c", "init.defaultBranch=none", "init", "--quiet", "--template=", f"--object-format={kind}", str(folder))
        variables = {"GIT_DIR": str(folder / ".git"), "GIT_TERMINAL_PROMPT": "0", **self._access(), **environment}
        for remote in _git("remote", cwd=self.root).split():
            with suppress(UsageError):
                one = ("fetch", "--quiet", "--depth=1", "--no-tags", remote, commit)
                _git(*one, cwd=self.root, environment=variables, timeout=_FETCH_WITHIN)
                return Repository(folder, folder / ".git")
        raise UsageError(
            f"{commit[:_SHORT]} is not in this clone, and no remote gave it. Fetch it before: "
            f"git fetch --depth=1 origin {commit}"
        )

    def _access(self) -> dict[str, str]:
        """How this repository reaches its remotes, for git in another one: in variables, which nobody else reads."""
        listed = _git("config", "--list", "--local", "--includes", "-z", cwd=self.root).split("\0")
        pairs = [(key, value) for key, _, value in (pair.partition("\n") for pair in listed) if _is_access(key)]
        first = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
        variables = {"GIT_CONFIG_COUNT": str(first + len(pairs))}
        for number, (key, value) in enumerate(pairs, first):
            variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return variables

    def changed_since(self, commit: str, place: Path, objects: Path | None = None) -> list[str]:
        """The files that stand in the work tree otherwise than in a commit, with new ones that git does not ignore.

        `objects`: where the commit is, if not here.
        """
        # A copy, since `git diff` may refresh the one it reads. Its time is the original's: git compares the content
        # of files that changed no earlier than their index, and a younger one would hide a change of the same second.
        index = place / "index"
        if self._path("index").exists():
            shutil.copy2(self._path("index"), index)
        variables = {"GIT_INDEX_FILE": str(index)}
        if objects is not None:
            variables["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = str(objects)
        difference = ("diff", "--name-only", "-z", "--no-ext-diff", "--no-renames", commit, "--")
        differing = _git(*difference, cwd=self.root, environment=variables).split("\0")
        new = _git("ls-files", "-z", "--others", "--exclude-standard", cwd=self.root, environment=variables).split("\0")
        return sorted({name for name in (*differing, *new) if name and not _cached(name)})

    def _submodules(self, commit: str) -> list[tuple[str, str]]:
        """The folders where a commit has a submodule, and which commit of that."""
        listed = _git("ls-tree", "-r", "-z", commit, cwd=self.root).split("\0")
        entries = [line.partition("\t") for line in listed if line.startswith(_SUBMODULE)]
        return [(name, about.split()[2]) for about, _, name in entries]

    def _check_out_submodule(self, name: str, commit: str, folder: Path) -> None:
        """Write a submodule's files, if the user has it; else its folder stays empty, as in a new clone."""
        if not _holds_repository(Tree(self.root), name) or Tree(folder).kind(name) != "folder":
            return
        submodule = Repository.around(self.root / name)
        try:
            revision = submodule.resolve(commit)
        except UsageError:  # it was never fetched
            return
        submodule.check_out(revision, folder / name)

    def _path(self, inside: str) -> Path:
        return Path(_git("rev-parse", "--path-format=absolute", "--git-path", inside, cwd=self.root).strip())


def files_of(root: Path, *, others: bool = False) -> list[str]:
    """The files git tracks there, and others that it does not ignore, those of submodules that are there included."""
    options = ["--cached", *(["--others", "--exclude-standard"] if others else [])]
    tree, names = Tree(root), set[str]()
    for name in _git("ls-files", "-z", *options, cwd=root).split("\0"):
        if not name or name.endswith("/") or _cached(name):  # with a slash: a repository that is no submodule
            continue
        if not (root / name).is_dir() or tree.kind(name) != "folder":
            names.add(name)
        elif _holds_repository(tree, name):
            names |= {f"{name}/{inside}" for inside in files_of(root / name, others=others)}
    return sorted(names)


def _holds_repository(tree: Tree, name: str) -> bool:
    return tree.kind(f"{name}/.git") in {"file", "folder"}


def _is_access(key: str) -> bool:
    """Whether a setting says where a remote is, or how one logs in there."""
    return key.startswith(_ACCESS) or (key.startswith("remote.") and key.endswith((".url", ".proxy", ".uploadpack")))


def _cached(name: str) -> bool:
    """What Python and pytest write beside the code, where a project does not ignore it."""
    return not {"__pycache__", ".pytest_cache"}.isdisjoint(Path(name).parts)


def clean_environment() -> dict[str, str]:
    """This process's environment without what points git at a repository: a hook's GIT_DIR is the user's."""
    return {k: v for k, v in os.environ.items() if k not in _LOCAL}


def _git(
    *arguments: str,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> str:
    # Without optional locks even `git status` leaves the index alone.
    variables = {**clean_environment(), "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8", **(environment or {})}
    try:
        result = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", *arguments],  # noqa: S607 - the user's git
            cwd=cwd,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"git {arguments[0]} took longer than {timeout:.0f} s") from None
    except OSError as error:
        raise UsageError(f"git could not be started: {error}. Install git.") from None
    if result.returncode:
        message = result.stderr.decode(errors="replace").strip()
        raise UsageError(f"git {arguments[0]}: {message or f'exit code {result.returncode}'}")
    return result.stdout.decode("utf-8", "surrogateescape")
