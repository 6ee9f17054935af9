"""The pages name what there is: every option, command and exported name. Their links lead somewhere."""

from __future__ import annotations

import importlib.util
import inspect
import re
import shlex
from pathlib import Path

import pytest

import pytest_gpuperf
from pytest_gpuperf import gate
from pytest_gpuperf.cli.arguments import COMMANDS, parse
from pytest_gpuperf.plugin.options import OPTIONS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted({ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")})


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_stands_on_its_page(option):
    shown = option.flag if option.metavar is None else f"{option.flag} {option.metavar}"
    assert f"| `{shown}` |" in (ROOT / "docs/options.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_stands_on_its_page(command):
    assert f"`gpuperf {command.name}" in (ROOT / "docs/command-line.md").read_text(encoding="utf-8")


def test_the_readme_is_read_in_a_minute():
    assert len(README.splitlines()) < 120


def test_the_readme_s_own_test_runs_as_it_stands(pytester):
    (test,) = (block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "def test_product" in block)
    pytester.makepyfile(test_speed=test)
    result = pytester.runpytest_subprocess("--gpuperf-device=cpu", "--gpuperf-budget=0.2", "--gpuperf-save=run.json")
    result.assert_outcomes(passed=1)


def test_the_readme_s_commands_are_ones_that_the_parser_takes():
    commands = re.findall(r"^(gpuperf [^#\n]+)", README, re.MULTILINE)
    assert len(commands) >= 2
    for command in commands:
        assert callable(parse(shlex.split(command)[1:]).run)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_reference_is_of_today():
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs/make_reference.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert made.PAGE.read_text(encoding="utf-8") == made.page(), "run: python docs/make_reference.py"


def test_every_public_type_stands_in_the_reference():
    text = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    for name in pytest_gpuperf.__all__:
        assert f"### {name}\n" in text or name in text, name


@pytest.mark.parametrize("name", pytest_gpuperf.__all__)
def test_every_exported_name_is_there(name):
    assert getattr(pytest_gpuperf, name) is not None


def test_what_is_not_exported_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pytest_gpuperf.nothing  # noqa: B018


@pytest.mark.parametrize("package", [pytest_gpuperf, gate])
def test_every_lazy_name_is_exported(package):
    names = inspect.getclosurevars(package.__getattr__).nonlocals["names"]
    assert names
    assert set(names) <= set(package.__all__)
