"""The workflows are valid, hold no more rights than they need, and run no stranger's text."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
SCHEMAS = files("check_jsonschema") / "builtin_schemas/vendor"
WRITERS = {("gpu-comment.yml", "write"), ("gpu-nightly.yml", "propose")}  # the jobs that may write anything at all


def read(path):
    """As GitHub reads it: YAML 1.1 takes the key `on` for a boolean."""
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {("on" if key is True else key): value for key, value in loaded.items()}


ALL = [pytest.param(path.name, read(path), id=path.stem) for path in WORKFLOWS]
JOBS = [
    pytest.param(path.name, read(path), name, job, id=f"{path.stem}-{name}")
    for path in WORKFLOWS
    for name, job in read(path)["jobs"].items()
]
STEPS = [step for path in WORKFLOWS for job in read(path)["jobs"].values() for step in job["steps"]]
SCRIPTS = [step["run"] for step in STEPS if "run" in step]


def test_all_of_them_are_looked_at():
    names = {path.name for path in WORKFLOWS}
    assert {"checks.yml", "gpu-gate.yml", "gpu-comment.yml", "gpu-nightly.yml", "gpu-ab.yml"} <= names


@pytest.mark.parametrize(("name", "workflow"), ALL)
def test_it_has_the_shape_that_github_wants(name, workflow):
    schema = json.loads((SCHEMAS / "github-workflows.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(schema).validate(workflow)


@pytest.mark.parametrize(("name", "workflow"), ALL)
def test_nobody_s_code_is_run_beside_a_token_that_can_write(name, workflow):
    triggers = workflow["on"] if isinstance(workflow["on"], dict) else dict.fromkeys(workflow["on"])
    assert "pull_request_target" not in triggers
    if "workflow_run" in triggers:  # it runs the default branch's code, and must not be led to another's
        given = json.dumps([step.get("with", {}) for job in workflow["jobs"].values() for step in job["steps"]])
        assert "head" not in given
        assert '"ref"' not in given
        assert '"repository"' not in given


@pytest.mark.parametrize(("name", "workflow", "job_name", "job"), JOBS)
def test_rights_are_stated_and_least(name, workflow, job_name, job):
    rights = job.get("permissions", workflow["permissions"])
    assert isinstance(rights, dict)
    writing = {right for right, level in rights.items() if level == "write"}
    assert writing <= {"pull-requests", "contents"}
    assert not writing or (name, job_name) in WRITERS
    assert set(rights.values()) <= {"read", "write"}
    if writing:  # such a job installs and imports nothing of a stranger
        assert not any("pip" in step.get("run", "") or "pytest" in step.get("run", "") for step in job["steps"])
        assert not any("self-hosted" in str(label) for label in [job["runs-on"]])


@pytest.mark.parametrize(("name", "workflow", "job_name", "job"), JOBS)
def test_a_job_ends_by_itself_and_has_the_card_alone(name, workflow, job_name, job):
    assert job["timeout-minutes"] <= 360
    if "self-hosted" in job["runs-on"]:
        assert job["concurrency"] == {"group": "gpu-${{ matrix.card }}", "cancel-in-progress": False, "queue": "max"}
        assert job["if"].endswith("vars.GPUPERF_CARDS != ''")  # a repository without a runner waits for none


@pytest.mark.parametrize("step", [s for s in STEPS if "uses" in s], ids=lambda s: s["uses"].split("@")[0])
def test_an_action_is_pinned_and_leaves_no_credentials(step):
    action, _, commit = step["uses"].partition("@")
    assert re.fullmatch(r"[0-9a-f]{40}", commit)
    assert action in {
        "actions/checkout",
        "actions/setup-python",
        "actions/upload-artifact",
        "actions/download-artifact",
    }
    if action == "actions/checkout":
        assert step["with"]["persist-credentials"] is False


def test_every_pin_says_its_version_and_is_the_same_everywhere():
    pins = {}
    for path in WORKFLOWS:
        for action, commit, version in re.findall(
            r"uses: (\S+)@(\S+)(?: # (v\d+\.\d+\.\d+))?$", path.read_text(), re.MULTILINE
        ):
            assert version, f"{path.name}: {action} does not say which version it is"
            pins.setdefault(action, set()).add((commit, version))
    assert {action: len(found) for action, found in pins.items()} == dict.fromkeys(pins, 1)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_bash_and_no_stranger_s_text_is_put_into_it(script):
    assert "${{" not in script  # what GitHub knows comes in through the environment
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", sorted(ROOT.glob(".github/scripts/*.py")), ids=lambda path: path.name)
def test_every_script_is_used(path):
    assert any(f".github/scripts/{path.name}" in script for script in SCRIPTS)
