"""What a session ran on: which revision of the code, and which installed packages."""

from __future__ import annotations

import hashlib
import re
import subprocess
from functools import cache
from importlib.metadata import distributions
from pathlib import Path


def revision(directory: Path) -> str | None:
    """The git commit checked out there, with "+dirty" where tracked files were changed; None outside git."""
    commit = _git(directory, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    return commit + ("+dirty" if _git(directory, "status", "--porcelain", "--untracked-files=no") else "")


@cache  # reading them takes a tenth of a second
def installed_packages() -> str:
    """A short hash of the names and versions of everything that is installed: one is like another, or it is not."""
    found: set[str] = set()
    for distribution in distributions():
        about = distribution.metadata
        if about["Name"]:  # what a broken installation left has none
            found.add(f"{re.sub(r'[-_.]+', '-', about['Name']).lower()} {about['Version']}")
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()[:12]


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
