"""A small repository, and a temporary folder of its own for what is made beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from revisions_of import ON_CPU, Project

from pytest_gpuperf.ab.checkout import Preparation
from pytest_gpuperf.ab.controller import Comparing, compare_revisions


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


@pytest.fixture
def compared(project, temporary):
    """Compare the branch `base` with HEAD; nothing is left behind, and the repository is as before."""

    def compare(*arguments, said=None, **asked):
        how = Preparation(
            arguments=(*ON_CPU, *arguments),
            **{k: asked.pop(k) for k in ("setup", "tests", "sources", "also") if k in asked},
        )
        before = project.fingerprint()
        comparing = Comparing(base="base", preparation=how, folder=project.root, **asked)
        if said is not None:
            comparing = replace(comparing, progress=said.append)
        try:
            return compare_revisions(comparing)
        finally:
            assert project.fingerprint() == before
            left = [p for p in temporary.iterdir() if not p.name.startswith("gpuperf-family-")]  # kept to our own end
            assert left == []

    return compare
