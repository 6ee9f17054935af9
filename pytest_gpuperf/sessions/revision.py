"""Which revision of the code a session measured."""

from __future__ import annotations

import subprocess
from pathlib import Path


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
