"""What all tests may ask for."""

from __future__ import annotations

import tempfile

import pytest
from nvml.standin import machine, nvml_library, old_nvml_library

from pytest_gpuperf.device.processes import family_folder

__all__ = ["machine", "nvml_library", "old_nvml_library"]


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where temporary folders are made, here and by what is started: nothing else is there."""
    family_folder()  # lives as long as this process: made here first, it would be found in the first test's folder
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture(autouse=True)
def no_hypothesis_in_stories(request, monkeypatch):
    """Hypothesis' plugin imports all of it at the end of every session: a third of what a story's short ones take."""
    if "pytester" in request.fixturenames:
        request.getfixturevalue("pytester")  # it takes the variable away: first it, then this
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")


@pytest.fixture(autouse=True)
def no_ci(monkeypatch):
    """A test that fails in its story is no annotation of the job that runs our tests."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
