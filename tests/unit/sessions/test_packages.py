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
    code = "from pytest_gpuperf.sessions.provenance import packages_hash; print(packages_hash())"
    path = os.pathsep.join(map(str, (*folders, HERE)))
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders of installed packages."""
    one, other = (tmp_path_factory.mktemp(name) / "site-packages" for name in ("one", "other"))
    install(one, "A_Package", "1.0")
    install(other, "another", "2.0")
    return one, other


def test_any_order_of_the_path_gives_one_hash(folders: tuple[Path, Path]) -> None:
    one, other = folders
    found = packages(one, other)
    assert re.fullmatch(r"[0-9a-f]{16}", found)
    assert packages(other, one, other) == found


def test_what_is_installed_upgraded_or_removed_changes_it(folders: tuple[Path, Path], tmp_path: Path) -> None:
    third = tmp_path / "site-packages"
    before = packages(*folders)
    about = install(third, "third", "1.0")
    installed = packages(*folders, third)
    about.rename(third / "third-1.1.dist-info")
    upgraded = packages(*folders, third)
    assert len({before, installed, upgraded}) == 3
    shutil.rmtree(third / "third-1.1.dist-info")
    assert packages(*folders, third) == before


def test_the_code_under_test_does_not_count(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """What is installed from a folder may have its commit for a version: each revision would be other software."""
    before = packages(*folders)
    about = install(tmp_path / "site-packages", "ours", "1.0+g1a2b3c4")
    (about / "direct_url.json").write_text('{"url": "file:///home/me/ours"}')
    assert packages(*folders, tmp_path / "site-packages", tmp_path / "missing" / "site-packages") == before
