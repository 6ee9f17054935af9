"""Every command of docs/ci.md, and of the workflows, has options that exist; its examples for GitLab are valid."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml

from pytest_gpuperf.cli.arguments import parse
from pytest_gpuperf.plugin.options import OPTIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
FLAGS = {option.flag: option for option in OPTIONS}


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def scripts():
    """Every text in which a shell is told something."""
    yield from blocks("sh")
    yield from blocks("groovy")
    yield from (line for block in blocks("yaml") for job in yaml.safe_load(block).values() for line in lines(job))
    yield from re.findall(r"`(gpuperf [^`]+)`", PAGE)
    for path in sorted((ROOT / ".github/workflows").glob("*.yml")):
        jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
        yield from (step["run"] for job in jobs for step in job["steps"] if "run" in step)


def lines(job):
    return job.get("script", ()) if isinstance(job, dict) else ()


def commands():
    for script in scripts():
        for line in script.replace("\\\n", " ").splitlines():
            words = re.split(r"\|\|?|&&|;|(?<!-)>|<", line.split(" # ")[0])[0].strip()
            start = re.match(r"(?:venv/bin/)?(gpuperf|pytest) ", words)
            if start:
                known = {"suite": "-m gpu tests/perf --gpuperf-device cuda", "BASE": "main"}
                text = re.sub(r"\$(\w+)", lambda found, known=known: known.get(found[1], "x"), words)
                yield text.removeprefix("venv/bin/")


COMMANDS = list(dict.fromkeys(commands()))


def test_there_are_commands_of_every_kind():
    used = {" ".join(c.split()[:2]) for c in COMMANDS if c.startswith("gpuperf")}
    kinds = "doctor calibrate show selftest waive compare report ab merge accept"
    assert used == {f"gpuperf {kind}" for kind in kinds.split()}
    assert sum(c.startswith("pytest") for c in COMMANDS) >= 5


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("gpuperf")])
def test_a_command_is_one_that_the_parser_takes(command):
    _, *words = shlex.split(command)
    options = parse(words)
    assert callable(options.run)
    accepted_by_pytest(options.pytest_arguments)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("pytest")])
def test_an_option_of_pytest_is_one_that_there_is(command):
    accepted_by_pytest(shlex.split(command)[1:])


def accepted_by_pytest(words):
    for word, value in zip(words, [*words[1:], ""], strict=False):
        if word.startswith("--gpuperf"):
            option = FLAGS[word]
            if option.kind == "value":
                option.convert(value, word)


def test_the_pipeline_of_gitlab_is_valid():
    (pipeline,) = (yaml.safe_load(block) for block in blocks("yaml") if "gpu-gate:" in block)
    schema = json.loads(
        (files("check_jsonschema") / "builtin_schemas/vendor/gitlab-ci.json").read_text(encoding="utf-8")
    )
    jsonschema.Draft7Validator(schema).validate(pipeline)
    assert pipeline["gpu-gate"]["resource_group"] == "gpu-h200"


def test_gitlabs_note_holds_no_quick_action(tmp_path):
    (escape,) = re.findall(r"^ *(sed -E .*) report/report.md > note.md$", PAGE, re.MULTILINE)
    (wanted,) = re.findall(r"grep -Eqx ('.*')$", PAGE, re.MULTILINE)
    said = "/merge\n  /approve\nfast/slow\n\t/label ~x\n"
    done = subprocess.run(["sh", "-c", escape], input=said, capture_output=True, text=True, check=True)
    assert done.stdout == "\\/merge\n  \\/approve\nfast/slow\n\t\\/label ~x\n"
    for marker, code in (("", 1), ("<!-- gpuperf: h200 -->", 0), ("hello", 1)):
        asked = subprocess.run(["sh", "-c", f"grep -Eqx {wanted}"], input=f"{marker}\n", text=True, check=False)
        assert asked.returncode == code


def test_every_link_within_the_page_leads_somewhere():
    titles = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= titles
