"""Which packages a session ran on: a short hash that changes with any of their versions, and with nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[3]


def install(folder: Path, name: str, version: str) -> Path:
    """As an installer leaves it."""
    about = folder / f"{name}-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return about


def packages(*folders: Path) -> str:
    """The hash in a fresh process that finds these folders too."""
    code = "from pytest_gpuperf.sessions.revision import installed_packages; print(installed_packages())"
    path = os.pathsep.join(map(str, (*folders, HERE)))
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders of installed packages."""
    one, other = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    install(one, "A_Package", "1.0")
    install(other, "another", "2.0")
    return one, other


def test_any_order_of_the_path_gives_one_hash(folders: tuple[Path, Path]) -> None:
    one, other = folders
    found = packages(one, other)
    assert re.fullmatch(r"[0-9a-f]{12}", found)
    assert packages(other, one, other) == found


def test_what_is_installed_upgraded_or_removed_changes_it(folders: tuple[Path, Path], tmp_path: Path) -> None:
    before = packages(*folders)
    about = install(tmp_path, "third", "1.0")
    installed = packages(*folders, tmp_path)
    about.rename(tmp_path / "third-1.1.dist-info")
    (tmp_path / "third-1.1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: third\nVersion: 1.1\n")
    upgraded = packages(*folders, tmp_path)
    assert len({before, installed, upgraded}) == 3
    shutil.rmtree(tmp_path / "third-1.1.dist-info")
    assert packages(*folders, tmp_path) == before


def test_neither_spelling_nor_a_broken_installation_counts(folders: tuple[Path, Path], tmp_path: Path) -> None:
    before = packages(*folders)
    install(tmp_path, "a.package", "1.0")
    (tmp_path / "broken-1.0.dist-info").mkdir()
    assert packages(*folders, tmp_path) == before
