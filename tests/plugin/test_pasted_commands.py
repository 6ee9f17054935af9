"""What a failure tells people to type works as it is printed: it is run here, word for word, by a shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from revisions_of import ON_CPU

SLOWER = 1.3  # milliseconds, of 1


@pytest.fixture
def paste(monkeypatch):
    """Run a command as a person would who copied it from the screen."""
    monkeypatch.setenv("COLUMNS", "500")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(command: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": path}
        return subprocess.run(
            command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )

    return run


def offered(text: str, words: str) -> str:
    """The one command that starts with these words; several places may print it."""
    found = set(re.findall(rf"(?:^|[ (`]){re.escape(words)}[^\n;`]*", text, re.MULTILINE))
    assert len({command.strip(" (`") for command in found}) == 1, (found, text)
    return found.pop().strip(" (`").removesuffix(".")


@pytest.mark.parametrize("below", [".", "tests"])
def test_a_regressed_test_is_accepted_and_looked_at(repository, paste, below, monkeypatch):
    repository.recorded()
    repository.work(SLOWER)
    folder = repository.path / below
    monkeypatch.chdir(folder)
    base = os.path.relpath(repository.path / "base.json", folder)
    result = repository.pytester.runpytest_inprocess(*ON_CPU, "-q", "--gpuperf-compare", base, "--tb=short")
    assert result.ret == 1
    text = result.stdout.str()
    looked = paste(offered(text, "gpuperf ab"), folder)
    assert looked.returncode == 1, looked.stdout + looked.stderr
    assert "REGRESSED" in looked.stdout
    accepted = paste(offered(text, "gpuperf calibrate --"), folder)
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    assert "replaced" in accepted.stdout


@pytest.mark.parametrize("baseline", ["missing.json", "auto"])
def test_a_baseline_that_is_not_there_is_recorded(repository, paste, baseline):
    repository.project.commit("first")
    result = repository.run("--gpuperf-compare", baseline, "tests")
    assert result.ret == 4
    command = offered(result.stderr.str(), "gpuperf calibrate --")
    assert "--gpuperf-device cpu" in command
    done = paste(command, repository.path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert repository.run("--gpuperf-compare", baseline, "tests").ret == 0


@pytest.mark.parametrize("saved", [(), ("--gpuperf-save", "new.json")])
def test_cases_that_vanished_are_dropped(repository, paste, saved):
    repository.recorded()
    file = repository.path / "tests/test_perf.py"
    repository.write("tests/test_perf.py", file.read_text().replace("test_calm", "test_other"))
    result = repository.run("--gpuperf-compare", "base.json", *saved)
    assert result.ret == 1
    command = offered(result.stdout.str(), "gpuperf accept" if saved else "gpuperf calibrate --")
    done = paste(command + (" --few" if saved else ""), repository.path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 pruned" in done.stdout


def test_two_revisions_are_looked_at_again(repository, paste):
    repository.project.commit("first")
    repository.project.git("branch", "base")
    repository.work(SLOWER)
    result = repository.run("--gpuperf-ab", "base", "-k", "spin")
    assert result.ret == 1
    done = paste(offered(result.stdout.str(), "gpuperf ab"), repository.path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "test_spin" in done.stdout
    assert "test_calm" not in done.stdout
    again = paste(offered(done.stdout, "gpuperf ab"), repository.path) if "gpuperf ab" in done.stdout else done
    assert again.returncode == 1
