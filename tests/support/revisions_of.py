"""Small repositories with several commits, and what tells that nobody touched them."""

from __future__ import annotations

import os
import subprocess
import textwrap
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

# A workload of a fixed duration, so that a verdict follows from the code on any machine.
SPIN = """
from time import perf_counter

MILLISECONDS = {milliseconds}

def spin():
    end = perf_counter() + MILLISECONDS / 1000
    while perf_counter() < end:
        pass
"""
SUITE = """
import work

def test_spin(gpuperf):
    gpuperf(work.spin)
"""
# Launch after launch the other side is slow.
_WILD = """
from pathlib import Path
import work

def test_wild(gpuperf):
    head = "# two" in Path(work.__file__).read_text()
    with Path({came!r} + str(head)).open("a+") as file:
        file.write("x")
        work.MILLISECONDS = 1.5 if (file.tell() + head) % 2 else 0.5
    gpuperf(work.spin)
"""
ON_CPU = ("--gpuperf-device", "cpu", "--gpuperf-budget", "0.2", "-p", "no:benchmark", "-p", "no:hypothesispytest")
_ALONE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


class Project:
    """A git repository under a test's hands."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")
        self.write("pytest.ini", "[pytest]\nfilterwarnings = error\n")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=n", "-c", "user.email=e@x", *arguments],
            cwd=self.root,
            env={**os.environ, **_ALONE},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def write(self, name: str, text: str) -> Path:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    def commit(self, message: str, files: Mapping[str, str] | None = None) -> str:
        """Write files and commit everything."""
        for name, text in (files or {}).items():
            self.write(name, text)
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")

    def two_commits(self, base: float = 1.0, head: float = 1.0, suite: str = SUITE, note: str = "") -> None:
        """`base` and `head` milliseconds of the one workload, in a package without a `src` folder."""
        self.write("work/__init__.py", SPIN.format(milliseconds=base))
        self.write("tests/test_perf.py", suite)
        self.commit("one")
        self.git("branch", "base")
        self.write("work/__init__.py", SPIN.format(milliseconds=head) + f"# {note or 'two'}\n")
        self.commit("two")

    def fingerprint(self) -> dict[str, str]:
        """Every file of the work tree and of git's own folder, the index and the stashes among them."""
        files = (f for f in self.root.rglob("*") if f.is_file() and "__pycache__" not in f.parts)
        return {str(f.relative_to(self.root)): sha256(f.read_bytes()).hexdigest() for f in files}


def wild(project: Project) -> str:
    """A suite about whose speed no few launches can tell."""
    return _WILD.format(came=str(project.root.parent / "came"))


def words(judged):
    """What was said of each test."""
    return {f.case.partition("::")[2]: f.verdict.word for f in judged.comparison.findings}
