"""Test files that come with the package: their cases have the same ids wherever it is installed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

_ABOVE = Path(__file__).parents[2]  # the folder that the package lies in
_SHIPPED = "pytest_gpuperf/studies"


def module_of(path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """The module of a shipped file. Its id is no path from the root directory, which would differ between machines."""
    if path.parent != _ABOVE / _SHIPPED:
        return None
    module: Any = pytest.Module  # the hints of its constructor leave out the id
    return module.from_parent(parent, path=path, nodeid=f"{_SHIPPED}/{path.name}")


def path_of(test: str, root: Path) -> str:
    """A node id as an argument of a pytest process that starts anywhere."""
    return os.path.join(_ABOVE if test.startswith(f"{_SHIPPED}/") else root, test)  # noqa: PTH118 - a node id is no path
