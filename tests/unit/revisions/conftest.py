"""A small repository, and a temporary folder of its own for what is made beside it."""

from __future__ import annotations

import tempfile

import pytest
from revisions_of import Project


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where workplaces are made: nothing else is there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder
