"""A repository of small workloads whose branches do more of the same work: what the rates are measured on."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Workloads:
    """Each case of the suite repeats one piece of work; a branch repeats some of them more often."""

    pieces: Mapping[str, str]  # case -> one line of Python
    preamble: str  # what the pieces need
    requires: Mapping[str, str]  # package -> version: what the preamble imports

    def source(self, repeats: Mapping[str, int], note: str) -> str:
        """The package, as one branch has it."""
        functions = "".join(
            f"\ndef work_{case}():\n    for _ in range({repeats[case]}):\n        {piece}\n"
            for case, piece in self.pieces.items()
        )
        return f"# {note}\n{self.preamble}{functions}"

    def make(self, folder: Path, repeats: int, branches: Mapping[str, Mapping[str, int]]) -> None:
        """The repository at its commit `base`, with the other branches: what they repeat otherwise, by case."""
        usual = dict.fromkeys(self.pieces, repeats)
        git(folder, "init", "-q", "-b", "base")
        for name, text in (self._project() | {"work/__init__.py": self.source(usual, "the base")}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        git(folder, "add", ".")
        git(folder, "commit", "-qm", "base")
        for name, changed in branches.items():
            branch(folder, name, "work/__init__.py", self.source({**usual, **changed}, name))

    def _project(self) -> dict[str, str]:
        """The same suite for the three tools."""
        names = ", ".join(f'"{n}"' for n in self.pieces)
        test = (
            f"import pytest, work\n\n@pytest.mark.parametrize('name', [{names}])\n"
            "def test_work({tool}, name):\n    {tool}(getattr(work, 'work_' + name))\n"
        )
        asv = {
            "version": 1,
            "project": "work",
            "project_url": "",
            "repo": ".",
            "branches": ["base"],
            "environment_type": "virtualenv",
            "matrix": {"req": {name: [version] for name, version in self.requires.items()}},
            "build_cache_size": 100,
            "benchmark_dir": "asv_suite",
            "env_dir": "../asv/env",
            "results_dir": "../asv/results",
            "html_dir": "../asv/html",
        }
        return {
            "README.md": "Work\n",
            ".gitignore": "__pycache__/\n",
            "pyproject.toml": '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
            '[project]\nname = "work"\nversion = "1"\n[tool.setuptools]\npackages = ["work"]\n',
            "perf/test_ours.py": test.format(tool="gpuperf"),
            "bench/test_theirs.py": test.format(tool="benchmark"),
            "asv_suite/__init__.py": "",
            "asv_suite/suite.py": "import work\n"
            + "".join(f"def time_{n}():\n    work.work_{n}()\n" for n in self.pieces),
            "asv.conf.json": json.dumps(asv),
        }


def branch(folder: Path, name: str, file: str, text: str) -> None:
    """A commit on the base that changes one file."""
    git(folder, "checkout", "-qb", name, "base")
    (folder / file).write_text(text)
    git(folder, "commit", "-qam", name)
    git(folder, "checkout", "-q", "base")


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e@x", *arguments], cwd=folder, check=True)


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def asv_continuous(folder: Path, name: str, command: str) -> tuple[int, set[str]]:
    """How `asv continuous` exits and which cases it calls slower: significantly, and by more than 5 % (its own: 10)."""
    done = run([command, "continuous", "--factor", "1.05", "base", name], folder)
    if "BENCHMARKS NOT SIGNIFICANTLY CHANGED" not in done.stdout and "| Change" not in done.stdout:
        raise SystemExit(done.stdout + done.stderr)
    return done.returncode, set(re.findall(r"^\| \+ .*suite\.time_(\w+)", done.stdout, re.MULTILINE))


def prepare_asv(folder: Path, name: str, command: str) -> None:
    """Describes the machine and builds the environment, so that no measurement pays for it."""
    run([command, "machine", "--yes"], folder)
    asv_continuous(folder, name, command)


def case_of(node: str) -> str:
    """The case of a test's name: "zlib" of "bench/test_theirs.py::test_work[zlib]"."""
    return node.rpartition("[")[2].rstrip("]")
