"""What a session measured: the revision of the code, and the packages that are installed beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

_FOLDERS = frozenset({"site-packages", "dist-packages"})
_LETTERS = 16


def revision(directory: Path) -> str | None:
    """The git commit checked out there, with "+dirty" where tracked files were changed; None outside git."""
    commit = _git(directory, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    return commit + ("+dirty" if _git(directory, "status", "--porcelain", "--untracked-files=no") else "")


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", "--no-optional-locks", *arguments],  # noqa: S607 - the user's git; its index stays as it is
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def packages_hash() -> str:
    """A hash of the names and versions of all that is installed; which they are, it does not say."""
    return sha256("\n".join(sorted(set(_installed()))).encode()).hexdigest()[:_LETTERS]


def _installed() -> Iterator[str]:
    for entry in sys.path:
        if Path(entry).name not in _FOLDERS:
            continue
        with suppress(OSError):
            for item in Path(entry).iterdir():
                if item.suffix in {".dist-info", ".egg-info"} and not _is_local(item):
                    yield item.stem  # name and version


def _is_local(item: Path) -> bool:
    """Whether it was installed from a folder or a file: the code under test itself, whose version may be its commit."""
    with suppress(OSError, ValueError):
        return str(json.loads((item / "direct_url.json").read_text(encoding="utf-8"))["url"]).startswith("file:")
    return False
