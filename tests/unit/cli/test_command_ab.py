"""gpuperf ab: two revisions side by side, from the command line."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import gpuperf
from revisions_of import ON_CPU, Project, wild

from pytest_gpuperf.cli.arguments import parse

PAGE = Path(__file__).parents[3] / "docs/paired.md"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "temporary").mkdir()
    return Project(tmp_path / "project")


def ab(project, *arguments, **environment):
    before = project.fingerprint()
    temporary = project.root.parent / "temporary"
    done = gpuperf("ab", *arguments, "--", *ON_CPU, cwd=project.root, TMPDIR=str(temporary), **environment)
    assert project.fingerprint() == before
    assert list(temporary.iterdir()) == []
    return done


def test_a_slower_head_fails_and_json_says_everything(project):
    project.two_commits(1.0, 1.3)
    csv, markdown, summary = (project.root.parent / name for name in ("ab.csv", "ab.md", "summary.md"))
    reports = ("--csv", str(csv), "--markdown", str(markdown))
    asked = (*reports, "--format", "json", "--tolerance", "throughput=2%")
    done = ab(project, "base", "HEAD", *asked, GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert (report["exit_code"], report["compared"], report["decided"]) == (1, 1, 1)
    sides = report["comparison"]["sides"]
    assert sides["base"].startswith("base (")
    assert sides["head"].startswith("HEAD (")
    (finding,) = report["comparison"]["findings"]
    assert finding["verdict"]["word"] == "regressed"
    assert finding["tolerance"] == 0.02
    assert "gpuperf: launch 5: 1 test (" in done.stderr
    assert "tests/test_perf.py::test_spin" in csv.read_text()
    assert summary.read_text().strip() == markdown.read_text().strip()
    assert "regressed" in markdown.read_text()


def test_nothing_changed_passes_and_markdown_names_both(project):
    project.two_commits()
    done = ab(project, "base", "--format", "markdown", "--min-decided", "0%", "--budget", "5", "--limit", "60")
    assert done.returncode == 0, done.stdout + done.stderr
    base, head = (project.git("rev-parse", name)[:10] for name in ("base", "HEAD"))
    assert f"| case | base ({base}) | HEAD ({head}) | change | verdict |" in done.stdout
    assert "of 1 imported files 1 differ" in done.stdout.replace("&#58;", ":")


def test_too_little_decided(project):
    project.two_commits(suite=wild(project))
    done = ab(project, "base")
    assert done.returncode == 7, done.stdout + done.stderr
    assert "Let more launches tell: `gpuperf ab base --budget 1800 -- " in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nowhere",), 4, "names no commit"),
        ((), 4, "the following arguments are required: BASE"),
        (("base", "--setup", "exit 5"), 3, "--setup ended with exit code 5"),
        (("base", "--budget", "soon"), 4, "--budget: 'soon' is not a time"),
        (("base", "--source", "lib"), 4, "--source lib: neither revision has such a folder"),
        (("base", "base"), 4, "--allow-same"),
    ],
)
def test_exit_codes_of_what_cannot_be_compared(project, arguments, code, said):
    project.two_commits()
    done = ab(project, *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr.replace("\n", " ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_comparison_leaves_nothing(project, number):
    project.two_commits(
        suite="""
import os, subprocess, time
import work

def test_long(gpuperf):
    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    with open(os.environ["CHILDREN"], "a") as children:
        children.write(f"{child.pid}\\n")
    time.sleep(300)
"""
    )
    children, temporary = project.root.parent / "children", project.root.parent / "temporary"
    before = project.fingerprint()
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest_gpuperf", "ab", "base", "--allow-same", "--", *ON_CPU],
        cwd=project.root,
        env={**os.environ, "TMPDIR": str(temporary), "CHILDREN": str(children)},
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and (not children.exists() or children.read_text().count("\n") < 2):
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2, said
    assert said.endswith("gpuperf: interrupted; no file was changed.\n")
    assert list(temporary.iterdir()) == []
    assert project.fingerprint() == before
    for pid in map(int, children.read_text().split()):
        assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]


def test_the_commands_on_the_page_are_ones_the_parser_takes():
    commands = re.findall(r"^ {4}gpuperf (ab .*?)(?: +#.*)?$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        assert callable(parse(shlex.split(command)).run)
