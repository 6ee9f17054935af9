"""--gpuperf-confirm turns: a suspect is measured in turns with the revision that its baseline was recorded at."""

from __future__ import annotations

import tempfile

import pytest

JUDGED = ("--gpuperf-compare", "base.json")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where workplaces are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_slower_package_is_convicted_and_the_failure_names_the_revision(repository, temporary):
    commit = repository.recorded()
    repository.work(1.3)
    repository.project.write("run.json", "")
    before = repository.project.fingerprint()
    result = repository.run(*JUDGED)
    assert result.ret == 1, result.stdout.str()
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines([f"gpuperf: 1 test in turns with {commit[:10]}, launch 5 (* s so far)"])
    result.stdout.fnmatch_lines(["*regressed: tests/test_perf.py::test_spin*"])
    assert "fresh process" not in result.stdout.str()
    assert repository.project.fingerprint() == before
    assert list(temporary.iterdir()) == []
